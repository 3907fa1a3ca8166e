import { open, readdir, rename, rmdir, unlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { DualDbError } from "../errors.js";
import { isMissing, onFile } from "./file-errors.js";
import { type Manifest, manifestName, manifestText, readManifest } from "./manifest.js";
import { openPrivateFile, privateFolder } from "./private-files.js";

const unfinished = ".part";

/** Says that whatever lies beside it belongs to an export that is not whole yet. */
const marker = manifestName + unfinished;

/**
 * The folder of an export. Everything is written under other names first, and takes its own only when all of it is there, the
 * description last: at any point the folder holds the export from before, the new one, or nothing that could be taken for one.
 */
export class ExportFolder {
  readonly path: string;
  /** The outermost folder that was made for this export. */
  readonly #made: string | undefined;

  private constructor(path: string, made: string | undefined) {
    this.path = path;
    this.#made = made;
  }

  /** @throws CONFIG_INVALID where the folder holds anything but an export, FILE_UNUSABLE */
  static async open(path: string): Promise<ExportFolder> {
    const made = await onFile(path, () => privateFolder(path));
    const folder = new ExportFolder(path, made);
    await folder.#assertOurs();
    await folder.#write(marker, "");
    return folder;
  }

  /** Where a file is written before it counts. */
  partOf(file: string): string {
    return join(this.path, file + unfinished);
  }

  /** Lets what was written count, in place of what was there. */
  async finish(manifest: Manifest): Promise<void> {
    await this.#write(marker, manifestText(manifest));
    await this.#remove(manifestName);
    const files = new Set(manifest.tables.map(({ file }) => file));
    for (const file of files) await this.#accept(file);
    const former = (await this.#entries()).filter((entry) => entry !== marker && !files.has(entry));
    for (const file of former) await this.#remove(file);
    await this.#accept(manifestName);
    await this.#flush();
  }

  /** Takes away what does not count, and the folder if it was made for this; an export from before stays. */
  async giveUp(): Promise<void> {
    const entries = await this.#entries();
    const isWhole = entries.includes(manifestName) || !entries.some((entry) => entry.endsWith(".jsonl"));
    const parts = entries.filter((entry) => entry.endsWith(unfinished) && (entry !== marker || isWhole));
    for (const part of parts) await this.#remove(part);
    await this.#unmake();
  }

  /** Fails at the first folder that is not empty. */
  async #unmake(): Promise<void> {
    if (this.#made === undefined) return;
    const outermost = resolve(this.#made);
    for (let folder = resolve(this.path); folder !== dirname(outermost); folder = dirname(folder)) await rmdir(folder);
  }

  async #assertOurs(): Promise<void> {
    const entries = await this.#entries();
    if (entries.length === 0) return;
    const isMarked = entries.includes(marker) || (await this.#isExport(entries));
    const others = entries.filter((entry) => !/^(_metadata\.json|[^.]*\.jsonl)(\.part)?$/.test(entry));
    if (isMarked && others.length === 0) return;
    throw new DualDbError(
      "CONFIG_INVALID",
      `${this.path} holds something else than an earlier export: name another folder, or an empty one.`,
      { details: { path: this.path } },
    );
  }

  async #isExport(entries: readonly string[]): Promise<boolean> {
    if (!entries.includes(manifestName)) return false;
    return readManifest(this.path).then(
      () => true,
      () => false,
    );
  }

  async #entries(): Promise<string[]> {
    return onFile(this.path, () => readdir(this.path));
  }

  async #accept(file: string): Promise<void> {
    const path = join(this.path, file);
    await onFile(path, () => rename(this.partOf(file), path));
  }

  async #remove(file: string): Promise<void> {
    const path = join(this.path, file);
    await unlink(path).catch(async (error: unknown) => {
      if (!isMissing(error)) await onFile(path, () => Promise.reject(error));
    });
  }

  async #write(file: string, text: string): Promise<void> {
    const path = join(this.path, file);
    await onFile(path, async () => {
      const handle = await openPrivateFile(path, "w");
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
    });
  }

  /** The names last as long as the files; not every system lets a folder be opened. */
  async #flush(): Promise<void> {
    for (const path of [this.path, dirname(this.path)]) {
      const folder = await open(path, "r").catch(() => null);
      await folder?.sync().catch(() => undefined);
      await folder?.close();
    }
  }
}
