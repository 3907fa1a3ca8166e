import type { PlainFormat } from "../../data/rows/plain-format.js";

/** Rows that SQLite itself writes as data for one COPY, piece by piece while they are sent: nobody holds them. */
export interface PlainData {
  readonly format: PlainFormat;
  /** How many rows have been given out. */
  readonly size: number;
  /** To be read once. */
  pieces(): AsyncIterable<Uint8Array>;
  /** From here on there are no more rows than those given out. */
  end(): void;
}

/** Adds the next lines, unless the end has come meanwhile; false when there are no more. */
type Fill = () => Promise<boolean>;

/** Data for one COPY as the bytes that are sent, which are kept: a line by itself can be taken out of them. */
export class Lines {
  size = 0;
  bytes = 0;
  readonly #pieces: Uint8Array[] = [];
  #piece = "";
  #lines: readonly string[] | null = null;
  #fill: Fill | null;

  /** `fill` makes lines while those before are sent. */
  constructor(fill: Fill | null = null) {
    this.#fill = fill;
  }

  static of(lines: Iterable<string>): Lines {
    const all = new Lines();
    for (const line of lines) all.add(line);
    all.flush();
    return all;
  }

  /** A line with the line feed at its end. */
  add(line: string): void {
    this.#piece += line;
    this.size++;
    if (this.#piece.length >= pieceLength) this.flush();
  }

  /** To be called behind the last line. */
  flush(): void {
    if (this.#piece === "") return;
    const data = Buffer.from(this.#piece);
    this.#pieces.push(data);
    this.bytes += data.length;
    this.#piece = "";
  }

  async *pieces(): AsyncGenerator<Uint8Array, void> {
    for (let at = 0; ; at++) {
      while (at >= this.#pieces.length) if (!(await this.#more())) return;
      yield this.#pieces[at] as Uint8Array;
    }
  }

  /** From here on there are no more lines than there are now. */
  end(): void {
    this.#fill = null;
  }

  get isEnded(): boolean {
    return this.#fill === null;
  }

  at(index: number): string {
    this.#lines ??= Buffer.concat(this.#pieces).toString("utf8").split("\n");
    return `${this.#lines[index]}\n`;
  }

  async #more(): Promise<boolean> {
    const isMore = this.#fill !== null && (await this.#fill());
    if (!isMore) this.end();
    return isMore;
  }
}

/** The event loop comes round only between two pages of SQLite: so much has to keep PostgreSQL busy until then. */
const pieceLength = 524_288;
