import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, existsSync } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import type { SourceRow } from "../data/conversion/convert.js";
import type { Finding } from "../data/finding.js";
import { type JsonValue, rowToJson } from "../data/rows/exact-json.js";
import type { Table } from "../data/table.js";
import type { Side } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import { onFile } from "./file-errors.js";
import { fileOfTable, openPrivateFile, privateFolder } from "./private-files.js";

/** What has set a row aside: one folder may hold the lines of several. */
export interface Origin {
  readonly by: "copy" | "import";
  /** The side that the row was to go to. */
  readonly to: Side;
}

/** A row that could not go over, and why: one line of `rejects/<table>.jsonl`. */
export interface Reject extends Finding, Partial<Origin> {
  /** The source's row, to the bit; what somebody corrects before it is fed back. */
  readonly row: Readonly<Record<string, JsonValue>>;
  /** Digest of the row as the database had it: tells whether it has changed there since. Absent for a row that only a file has. */
  readonly was?: string;
}

/**
 * The rows of one table that were set aside. Each is there once, however often it is refused; a line that is there already is kept, unless
 * the database has another version of its row by now. Rows without a key that are alike are there as often as there are such rows.
 */
export class Rejects {
  readonly path: string;
  readonly #table: Table;
  readonly #origin: Origin;
  readonly #isOurs: (reject: Reject) => boolean;
  #file: FileHandle | null = null;
  /** What the file held before, and this run has not come to yet. */
  #former: Rows | null = null;
  readonly #refused: Rows;
  /** By key, of which version of a row the file speaks. */
  readonly #versions = new Map<string, string | undefined>();

  /** `isOurs` says of which lines this run has to say something: the others are left as they are. */
  constructor(folder: string, table: Table, origin: Origin, isOurs: (reject: Reject) => boolean = isOf(origin)) {
    this.#table = table;
    this.#origin = origin;
    this.#isOurs = isOurs;
    this.#refused = new Rows(table);
    this.path = fileOfTable(folder, table.name, ".jsonl");
  }

  /** Whether this run has set any row aside. */
  get isEmpty(): boolean {
    return this.#refused.size === 0;
  }

  /** What tells the rows apart that this run has set aside: the key, where there is one. */
  get identities(): readonly string[] {
    return this.#refused.identities;
  }

  /** Whether this run has set that row aside already. */
  has(key: string): boolean {
    return this.#refused.has(key);
  }

  /** @throws FILE_UNUSABLE */
  async add(rejected: readonly { readonly row: SourceRow; readonly finding: Finding }[]): Promise<void> {
    if (rejected.length > 0) await onFile(this.path, () => this.#add(rejected));
  }

  async #add(rejected: readonly { readonly row: SourceRow; readonly finding: Finding }[]): Promise<void> {
    this.#former ??= await this.#rowsThere();
    const fresh = rejected.filter(
      ({ row }) => this.#former?.take(this.#identityOf(row)) !== true || this.#isOutdated(row),
    );
    for (const { row } of rejected) this.#refused.add(this.#identityOf(row));
    if (fresh.length === 0) return;
    const lines = fresh.map(({ row, finding }) => ({
      ...finding,
      ...this.#origin,
      row: rowToJson(this.#table, row),
      ...this.#was(row),
    }));
    await this.#append(lines.map(lineOf).join(""));
    for (const { key, was } of lines) this.#versions.set(key, was);
  }

  #was(row: SourceRow): Pick<Reject, "was"> {
    const { key } = this.#table;
    const hasKey = key.length > 0 && key.every((name) => row.repaired?.has(name) !== true);
    return this.#origin.by === "copy" && hasKey ? { was: digestOf(this.#table, row) } : {};
  }

  /** What somebody has corrected in the line is not what the database has now. */
  #isOutdated(row: SourceRow): boolean {
    const known = this.#versions.get(row.key);
    return known !== undefined && known !== this.#was(row).was;
  }

  /** All of it, or nothing: where the disk is full no half line stays, and no empty file. */
  async #append(text: string): Promise<void> {
    this.#file ??= await this.#open();
    const { size } = await this.#file.stat();
    try {
      await this.#file.appendFile(text);
    } catch (error) {
      await this.#file.truncate(size);
      await this.close();
      if (size === 0) await rm(this.path);
      throw error;
    }
  }

  async #open(): Promise<FileHandle> {
    await privateFolder(dirname(this.path));
    return openPrivateFile(this.path, "a");
  }

  /** The run has seen the whole table: its rows that were set aside before and were not refused this time are taken off the file. */
  async settle(): Promise<void> {
    await this.close();
    if (!existsSync(this.path)) return;
    const isLatest = ({ key, was }: Reject) => was === undefined || was === this.#versions.get(key);
    const isRefused = (line: Reject) => isLatest(line) && this.#refused.take(this.#identityIn(line));
    await onFile(this.path, () => this.keep((line) => !this.#isOurs(line) || isRefused(line)));
  }

  /** Leaves only some of the lines, and no file where that is none. */
  async keep(isKept: (reject: Reject) => boolean, always = false): Promise<void> {
    const partial = `${this.path}.partial`;
    try {
      const { kept, dropped } = await this.#copyKept(partial, isKept);
      if (kept === 0) await rm(this.path);
      else if (always || dropped > 0) await rename(partial, this.path);
    } finally {
      await rm(partial, { force: true });
    }
  }

  async #copyKept(partial: string, isKept: (reject: Reject) => boolean) {
    const file = await openPrivateFile(partial, "w");
    const count = { kept: 0, dropped: 0 };
    try {
      for await (const { reject, line } of rejectsIn(this.path)) {
        const kept = isKept(reject);
        if (kept) await file.appendFile(`${line}\n`);
        count[kept ? "kept" : "dropped"]++;
      }
      return count;
    } finally {
      await file.close();
    }
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
  }

  /** A row without a key is told by all that it holds. */
  #identityOf(row: SourceRow): string {
    return this.#table.key.length > 0 ? row.key : JSON.stringify(rowToJson(this.#table, row));
  }

  #identityIn(reject: Reject): string {
    return this.#table.key.length > 0 ? reject.key : JSON.stringify(reject.row);
  }

  async #rowsThere(): Promise<Rows> {
    const rows = new Rows(this.#table);
    if (!existsSync(this.path)) return rows;
    if (!(await endsWhole(this.path))) await this.keep(() => true, true);
    if (!existsSync(this.path)) return rows;
    for await (const { reject } of rejectsIn(this.path)) {
      if (!this.#isOurs(reject)) continue;
      rows.add(this.#identityIn(reject));
      if (this.#table.key.length > 0) this.#versions.set(reject.key, reject.was);
    }
    return rows;
  }
}

/** Tells the lines of one origin, and those that do not say where they are from. */
export function isOf(origin: Origin): (reject: Reject) => boolean {
  return ({ by = origin.by, to = origin.to }) => by === origin.by && to === origin.to;
}

/** Tells one version of a row from another. */
export function digestOf(table: Table, row: SourceRow): string {
  return createHash("sha256")
    .update(JSON.stringify(rowToJson(table, row)))
    .digest("hex");
}

/** Rows by what tells them apart: a key once, a row without one as often as it comes up. */
class Rows {
  readonly #isKeyless: boolean;
  readonly #counts = new Map<string, number>();

  constructor({ key }: Table) {
    this.#isKeyless = key.length === 0;
  }

  get size(): number {
    return this.#counts.size;
  }

  get identities(): readonly string[] {
    return [...this.#counts.keys()];
  }

  has(identity: string): boolean {
    return this.#counts.has(identity);
  }

  add(identity: string): void {
    this.#counts.set(identity, (this.#counts.get(identity) ?? 0) + 1);
  }

  /** Whether it is there; one of several rows without a key is not there any more. */
  take(identity: string): boolean {
    const count = this.#counts.get(identity) ?? 0;
    if (this.#isKeyless) this.#counts.set(identity, count - 1);
    return count > 0;
  }
}

/**
 * The lines of a file of rejects. A last line without its line feed that cannot be read is what a killed run has left, and passed over.
 * @throws VALIDATION_FAILED naming the file and the line that is none.
 */
export async function* rejectsIn(path: string): AsyncGenerator<{ readonly reject: Reject; readonly line: string }> {
  const input = createReadStream(path);
  await once(input, "open");
  let number = 0;
  let broken: number | null = null;
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    number++;
    if (broken !== null) throw noReject(path, broken);
    if (line.trim() === "") continue;
    const reject = parsed(line);
    if (reject === null) broken = number;
    else yield { reject, line };
  }
  if (broken !== null && (await endsWhole(path))) throw noReject(path, broken);
}

function noReject(path: string, line: number): DualDbError {
  const message = `${path}, line ${line}, is no rejected row: correct it, or take the line out.`;
  return new DualDbError("VALIDATION_FAILED", message, { details: { file: path, line } });
}

async function endsWhole(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
    return bytesRead === 0 || buffer[0] === 10;
  } finally {
    await file.close();
  }
}

function parsed(line: string): Reject | null {
  try {
    const value: unknown = JSON.parse(line);
    return isReject(value) ? value : null;
  } catch {
    return null;
  }
}

function isReject(value: unknown): value is Reject {
  if (typeof value !== "object" || value === null || !("key" in value) || !("row" in value)) return false;
  return typeof value.key === "string" && typeof value.row === "object" && value.row !== null;
}

function lineOf(reject: Reject): string {
  return `${JSON.stringify(reject)}\n`;
}
