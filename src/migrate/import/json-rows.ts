import { parser } from "stream-json";
import { DualDbError } from "../../errors.js";
import { chunksOf } from "./lines.js";
import { MarkingDecoder, quotedMarked, unmarked } from "./marked-text.js";

/** A value of a row: numbers as their digits, objects and arrays as JSON text, and either kind of text with its bytes where it is no UTF-8. */
export type JsonCell =
  | string
  | boolean
  | null
  | { readonly number: string }
  | { readonly json: string }
  | { readonly text: string; readonly bytes: Uint8Array };

/** A row of a table; `cells` is null where a table has been met that may have no rows. */
export interface TableRow {
  readonly table: string;
  readonly cells: Readonly<Record<string, JsonCell>> | null;
}

/**
 * The rows of a JSON file, some at a time, without ever holding all of it. With a table's name the file is an array of its rows; without
 * one it is an object that has such an array for each table. `onRead` is told of each piece that is read, how many bytes it has.
 * @throws EXPORT_INVALID for anything else
 */
export async function* rowsOfJson(
  path: string,
  table: string | null,
  onRead: (bytes: number) => void = () => undefined,
): AsyncGenerator<TableRow[]> {
  const decoder = new MarkingDecoder();
  const reader = new Reader(path, table, decoder);
  const stream = parser.asStream({ packValues: true, streamValues: false });
  const feeding = feed(path, decoder, stream, onRead);
  try {
    for await (const token of stream as AsyncIterable<Token>) {
      reader.take(token);
      if (reader.rows.length >= rowsAtOnce) yield reader.rows.splice(0);
    }
  } catch (error) {
    if (error instanceof DualDbError) throw error;
    throw invalid(path, "is no whole JSON document");
  } finally {
    stream.destroy();
  }
  await feeding;
  reader.end();
  yield reader.rows.splice(0);
}

const rowsAtOnce = 200;

type Token = parser.Token;
type Stream = ReturnType<typeof parser.asStream>;

/** A failure to read ends the stream with it. */
async function feed(
  path: string,
  decoder: MarkingDecoder,
  stream: Stream,
  onRead: (bytes: number) => void,
): Promise<void> {
  try {
    for await (const chunk of chunksOf(path)) {
      if (stream.destroyed) return;
      onRead(chunk.length);
      if (!stream.write(decoder.write(chunk)))
        await new Promise((resolve) => stream.once("drain", resolve).once("close", resolve));
    }
    if (!stream.destroyed) stream.end(decoder.end());
  } catch (error) {
    stream.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

/** Where in the document the next token stands. */
type Level = "document" | "tables" | "rows" | "row" | "over";

class Reader {
  readonly rows: TableRow[] = [];
  readonly #path: string;
  readonly #only: string | null;
  readonly #decoder: MarkingDecoder;
  readonly #counts = new Map<string, number>();
  #table = "";
  #level: Level = "document";
  #column = "";
  #cells: Record<string, JsonCell> = {};
  readonly #nested = new JsonText();

  constructor(path: string, only: string | null, decoder: MarkingDecoder) {
    this.#path = path;
    this.#only = only;
    this.#decoder = decoder;
  }

  take(token: Token): void {
    if (this.#nested.isOpen) this.#takeNested(token);
    else if (this.#level === "row") this.#takeCell(token);
    else this.#takeOuter(token);
  }

  end(): void {
    if (this.#level !== "over") throw invalid(this.#path, "is no whole JSON document");
  }

  #takeOuter(token: Token): void {
    const { name } = token;
    if (this.#level === "document" && this.#only !== null && name === "startArray") this.#begin(this.#only);
    else if (this.#level === "document" && this.#only === null && name === "startObject") this.#level = "tables";
    else if (this.#level === "tables" && name === "keyValue") this.#table = token.value;
    else if (this.#level === "tables" && name === "startArray") this.#begin(this.#table);
    else if (this.#level === "tables" && name === "endObject") this.#level = "over";
    else if (this.#level === "rows" && name === "startObject") this.#level = "row";
    else if (this.#level === "rows" && name === "endArray") this.#level = this.#only === null ? "tables" : "over";
    else throw invalid(this.#path, this.#expectation());
  }

  #begin(table: string): void {
    this.#table = table;
    this.#level = "rows";
    this.rows.push({ table, cells: null });
  }

  #takeCell(token: Token): void {
    if (token.name === "keyValue") this.#column = token.value;
    else if (token.name === "startObject" || token.name === "startArray") this.#nested.add(token);
    else if (token.name === "endObject") this.#endRow();
    else this.#set(this.#cellOf(token));
  }

  #takeNested(token: Token): void {
    this.#nested.add(token);
    if (this.#nested.isOpen) return;
    const json = this.#nested.take();
    this.#set(this.#unmarked(json) ?? { json });
  }

  #cellOf(token: Token): JsonCell {
    const cell = scalarOf(token);
    return (typeof cell === "string" ? this.#unmarked(cell) : null) ?? cell;
  }

  #unmarked(text: string) {
    return this.#decoder.hasMarked ? unmarked(text) : null;
  }

  #set(cell: JsonCell): void {
    if (Object.hasOwn(this.#cells, this.#column)) throw this.#twice();
    Object.defineProperty(this.#cells, this.#column, {
      value: cell,
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }

  #endRow(): void {
    this.#counts.set(this.#table, this.#line());
    this.rows.push({ table: this.#table, cells: this.#cells });
    this.#cells = {};
    this.#level = "rows";
  }

  /** Which row of its table it is, from 1. */
  #line(): number {
    return (this.#counts.get(this.#table) ?? 0) + 1;
  }

  #twice(): DualDbError {
    const where = { table: this.#table, line: this.#line(), column: this.#column };
    return invalid(this.#path, `has ${where.column} twice in row ${where.line} of ${where.table}`, where);
  }

  #expectation(): string {
    if (this.#level === "rows") return `holds something else than rows, which are objects, in ${this.#table}`;
    if (this.#level === "tables") return `has no array of rows under the key ${this.#table}`;
    return this.#only === null ? "is no object with an array of rows for each table" : "is no array of rows";
  }
}

/** JSON text that is put together from tokens, numbers with all their digits. */
class JsonText {
  #pieces: string[] = [];
  #depth = 0;
  #needsComma = false;

  get isOpen(): boolean {
    return this.#depth > 0;
  }

  take(): string {
    const text = this.#pieces.join("");
    this.#pieces = [];
    this.#needsComma = false;
    return text;
  }

  add(token: Token): void {
    if (token.name === "endObject" || token.name === "endArray") {
      this.#pieces.push(token.name === "endObject" ? "}" : "]");
      this.#depth--;
      this.#needsComma = true;
      return;
    }
    if (this.#needsComma) this.#pieces.push(",");
    this.#needsComma = false;
    if (token.name === "startObject" || token.name === "startArray") {
      this.#pieces.push(token.name === "startObject" ? "{" : "[");
      this.#depth++;
    } else if (token.name === "keyValue") this.#pieces.push(`${quotedMarked(token.value)}:`);
    else {
      this.#pieces.push(textOf(scalarOf(token)));
      this.#needsComma = true;
    }
  }
}

function scalarOf(token: Token): string | boolean | null | { readonly number: string } {
  if (token.name === "numberValue") return { number: token.value };
  if (token.name === "stringValue") return token.value;
  if (token.name === "trueValue" || token.name === "falseValue") return token.value;
  return null;
}

function textOf(cell: ReturnType<typeof scalarOf>): string {
  if (typeof cell === "string") return quotedMarked(cell);
  return typeof cell === "object" && cell !== null ? cell.number : String(cell);
}

function invalid(path: string, what: string, details: Readonly<Record<string, unknown>> = {}): DualDbError {
  return new DualDbError("EXPORT_INVALID", `${path} ${what}. Nothing was imported.`, { details: { path, ...details } });
}
