import type { PlainFormat } from "../../data/rows/plain-format.js";

/** Data for one COPY as the bytes that are sent. In the usual form a line by itself can be taken out of them. */
export class Lines {
  /** The form in which SQLite has written them; null for the usual one. */
  readonly plain: PlainFormat | null;
  size = 0;
  bytes = 0;
  readonly #pieces: Uint8Array[] = [];
  #piece = "";
  #lines: readonly string[] | null = null;

  constructor(plain: PlainFormat | null = null) {
    this.plain = plain;
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
    this.#push(Buffer.from(this.#piece));
    this.#piece = "";
  }

  /** So many rows at once. */
  addPiece(data: Uint8Array, rows: number): void {
    if (rows === 0) return;
    this.size += rows;
    this.#push(data);
  }

  get pieces(): readonly Uint8Array[] {
    return this.#pieces;
  }

  at(index: number): string {
    this.#lines ??= Buffer.concat(this.#pieces).toString("utf8").split("\n");
    return `${this.#lines[index]}\n`;
  }

  #push(data: Uint8Array): void {
    this.#pieces.push(data);
    this.bytes += data.length;
  }
}

/** The event loop comes round only between two pages of SQLite: so much has to keep PostgreSQL busy until then. */
const pieceLength = 524_288;
