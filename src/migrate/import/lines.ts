import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { fileError } from "../file-errors.js";

const lineFeed = 10;

/** What a file of lines turns out to be. */
export interface LinesFacts {
  readonly lines: number;
  readonly sha256: string;
}

/** Reads a file once for its checksum and its number of lines. `onLines` is told how far it is. */
export async function factsOfLines(path: string, onLines: (lines: number) => void): Promise<LinesFacts> {
  const hash = createHash("sha256");
  let lines = 0;
  for await (const chunk of chunksOf(path)) {
    hash.update(chunk);
    for (let at = chunk.indexOf(lineFeed); at !== -1; at = chunk.indexOf(lineFeed, at + 1)) lines++;
    onLines(lines);
  }
  return { lines, sha256: hash.digest("hex") };
}

/** The whole lines of a file, some at a time, so that memory does not grow with it. */
export async function* linesOf(path: string): AsyncGenerator<string[]> {
  let begun: Buffer[] = [];
  for await (const chunk of chunksOf(path)) {
    const end = chunk.lastIndexOf(lineFeed);
    if (end === -1) {
      begun.push(chunk);
      continue;
    }
    const whole = Buffer.concat([...begun, chunk.subarray(0, end)]).toString("utf8");
    begun = end + 1 < chunk.length ? [chunk.subarray(end + 1)] : [];
    yield whole.split("\n");
  }
  if (begun.length > 0) yield [Buffer.concat(begun).toString("utf8")];
}

/** The pieces of a file. @throws FILE_UNUSABLE */
export async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path, { highWaterMark: 262_144 }) as AsyncIterable<Buffer>;
  } catch (error) {
    throw fileError(error, path);
  }
}
