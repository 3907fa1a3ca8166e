import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { onFile } from "./file-errors.js";
import { openPrivateFile } from "./private-files.js";

/** What a file of rows holds. */
export interface FileFacts {
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** A file that is being filled with one JSON document a line, hashed as it grows. */
export class RowFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #hash = createHash("sha256");
  #lines: string[] = [];
  #characters = 0;
  #rows = 0;
  #bytes = 0;

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  /** Begins it anew. @throws FILE_UNUSABLE */
  static async open(path: string): Promise<RowFile> {
    return new RowFile(path, await onFile(path, () => openPrivateFile(path, "w")));
  }

  get rows(): number {
    return this.#rows;
  }

  async add(line: string): Promise<void> {
    this.#lines.push(line, "\n");
    this.#characters += line.length;
    this.#rows++;
    if (this.#characters >= piece) await this.#write();
  }

  /** Everything is on the disk when this resolves. */
  async finish(): Promise<FileFacts> {
    await this.#write();
    await onFile(this.#path, () => this.#handle.sync());
    return { rows: this.#rows, bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }

  /** To be called whatever happened. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #write(): Promise<void> {
    const bytes = Buffer.from(this.#lines.join(""));
    this.#lines = [];
    this.#characters = 0;
    this.#hash.update(bytes);
    this.#bytes += bytes.length;
    await onFile(this.#path, () => this.#handle.writeFile(bytes));
  }
}

const piece = 262_144;
