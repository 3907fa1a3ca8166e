import { isUtf8 } from "node:buffer";

/**
 * Decodes a file piece by piece. A byte that is no UTF-8 leaves a mark, two halves of surrogate pairs which no text has at that place, so that
 * who finds one in a value can say so, and has the bytes back.
 */
export class MarkingDecoder {
  #rest: Buffer = Buffer.alloc(0);
  #hasMarked = false;

  /** Whether any byte has left a mark yet. */
  get hasMarked(): boolean {
    return this.#hasMarked;
  }

  write(chunk: Buffer): string {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const end = bytes.length - unfinished(bytes);
    this.#rest = bytes.subarray(end);
    return this.#decode(bytes.subarray(0, end));
  }

  end(): string {
    return this.#decode(this.#rest);
  }

  #decode(bytes: Buffer): string {
    if (isUtf8(bytes)) return bytes.toString("utf8");
    this.#hasMarked = true;
    return marked(bytes);
  }
}

/** The text with U+FFFD in the place of each mark, and its bytes as the file has them; null where there is no mark. */
export function unmarked(text: string): { readonly text: string; readonly bytes: Uint8Array } | null {
  if (text.search(mark) === -1) return null;
  const parts = text.split(mark);
  const bytes = parts.map((part, index) => (index % 2 === 0 ? Buffer.from(part) : Buffer.of(part.charCodeAt(0) - low)));
  return { text: text.replace(mark, "\ufffd"), bytes: new Uint8Array(Buffer.concat(bytes)) };
}

/** The text as JSON has it, its marks as they are. */
export function quotedMarked(text: string): string {
  return JSON.stringify(text).replace(
    escapedMark,
    (_, byte: string) => first + String.fromCharCode(Number.parseInt(byte, 16)),
  );
}

const first = "\udfff";
const low = 0xdc00;
const escapedMark = /\\udfff\\u(dc[89a-f][0-9a-f])/g;
const mark = new RegExp(`${first}([\\udc80-\\udcff])`, "g");

function marked(bytes: Buffer): string {
  let text = "";
  let from = 0;
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at] ?? 0;
    const length = lengthOf(byte);
    if (byte < 0x80 || (length > 1 && isUtf8(bytes.subarray(at, at + length)))) {
      at += length;
      continue;
    }
    text += `${bytes.toString("utf8", from, at)}${first}${String.fromCharCode(low + byte)}`;
    from = ++at;
  }
  return text + bytes.toString("utf8", from);
}

/** How many bytes at the end begin a character whose others have not come. */
function unfinished(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte >= 0xc0) return lengthOf(byte) > back ? back : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

/** How many bytes the character has that begins with this one; 1 also for a byte that begins none. */
function lengthOf(byte: number): number {
  if (byte >= 0xf0) return 4;
  if (byte >= 0xe0) return 3;
  return byte >= 0xc0 ? 2 : 1;
}
