import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Side } from "../../src/engines/engine.js";
import { sideFolders } from "../../src/schema/files.js";
import { freshDirectory } from "../support/databases.js";

/** A user's folder for one side. */
export class Folder {
  readonly path = freshDirectory();
  readonly #side: Side;

  constructor(side: Side) {
    this.#side = side;
    mkdirSync(join(this.path, sideFolders[side]));
  }

  put(name: string, text: string): this {
    writeFileSync(this.#file(name), text);
    return this;
  }

  remove(name: string): this {
    rmSync(this.#file(name));
    return this;
  }

  #file(name: string): string {
    return join(this.path, sideFolders[this.#side], name);
  }
}
