import type { FileHandle } from "node:fs/promises";
import { onFile } from "../file-errors.js";
import { openPrivateFile } from "../private-files.js";
import type { Difference } from "./table.js";

const pieceLength = 65_536;

/** Every difference of a run, one JSON object a line: keys and names, no values. Its owner's alone all the same. */
export class DifferenceFile {
  readonly #path: string;
  readonly #file: FileHandle;
  #piece = "";

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** @throws FILE_UNUSABLE */
  static async open(path: string): Promise<DifferenceFile> {
    return new DifferenceFile(path, await onFile(path, () => openPrivateFile(path, "w")));
  }

  async add(difference: Difference): Promise<void> {
    this.#piece += `${JSON.stringify(difference)}\n`;
    if (this.#piece.length >= pieceLength) await this.#write();
  }

  async close(): Promise<void> {
    try {
      await this.#write();
    } finally {
      await this.#file.close();
    }
  }

  async #write(): Promise<void> {
    const piece = this.#piece;
    this.#piece = "";
    if (piece !== "") await onFile(this.#path, () => this.#file.writeFile(piece));
  }
}
