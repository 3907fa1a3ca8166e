import { type DiscoveredTable, pairTables } from "../../data/catalogue/discover.js";
import { matchNames } from "../../data/catalogue/match.js";
import { affinityOf } from "../../data/catalogue/sqlite-type.js";
import type { ConvertedRow, SourceRow } from "../../data/conversion/convert.js";
import { converterOf, converterOfGiven } from "../../data/conversion/convert.js";
import { type EpochChoices, type Times, withTimes } from "../../data/conversion/epoch.js";
import type { Finding } from "../../data/finding.js";
import { encodeKey } from "../../data/key.js";
import { type Column, nameOn, type Table } from "../../data/table.js";
import type { ExactValue, Side } from "../../engines/engine.js";
import { DualDbError } from "../../errors.js";
import type { FileRow, ImportFile } from "./import-file.js";

/** How columns of times write them: as it was found, and as the operator says. */
export interface KnownTimes {
  readonly times: ReadonlyMap<string, Times>;
  readonly choices: EpochChoices;
}

const nothingKnown: KnownTimes = { times: new Map(), choices: new Map() };

/** A row on its way from a file to the target: as it was, and as the target takes it. */
export interface IntakeRow extends ConvertedRow {
  readonly line: number;
  readonly source: SourceRow;
  /** Texts that are no UTF-8 and that SQLite gets as they were, by their columns. */
  readonly bytes?: ReadonlyMap<string, Uint8Array>;
}

/** A file's table and the target's table that takes it: which column goes where, and what becomes of a value on the way. */
export class Intake {
  readonly file: ImportFile;
  readonly target: DiscoveredTable;
  /** The columns that are carried, the target's kinds and types, and a key that the target keeps unique; none where it has no key. */
  readonly table: Table;
  /** Whether the values are those of the other side, or of a tool that knows no sides. */
  readonly isForeign: boolean;
  readonly #cells: Carried;
  readonly #keyAt: readonly number[];
  readonly #convert: (row: SourceRow) => ConvertedRow;

  /** @throws EXPORT_INVALID for columns that the target lacks, and for columns that it needs and the file lacks */
  constructor(file: ImportFile, target: DiscoveredTable, known: KnownTimes = nothingKnown) {
    this.file = file;
    this.target = target;
    const isForeign = file.side === null ? target.side === "postgres" : file.side !== target.side;
    const carried = isForeign ? foreign(file, target) : native(file, target);
    assertKnown(file, target, carried);
    assertComplete(file, target, carried);
    this.#cells = carried;
    const columns = carried.map(({ column }) => column);
    this.table = withTimes({ ...target, columns, key: keyOf(file, target, carried) }, known.times, known.choices);
    this.isForeign = isForeign;
    this.#keyAt = this.table.key.map((name) => this.table.columns.findIndex((column) => column.name === name));
    this.#convert = this.#converter();
  }

  /** Values of SQLite that come back to where they were, and of PostgreSQL, need none. */
  #converter(): (row: SourceRow) => ConvertedRow {
    const { file, target, table, isForeign } = this;
    if (isForeign) return converterOf(table, target.side);
    if (target.side === "postgres") return unchanged;
    const declared = new Map(file.columns.map(({ name, type }) => [name, type]));
    const names = new Map(this.#cells.map(({ name, column }) => [column.name, name]));
    const isGiven = ({ name, sqliteType = "" }: Column) =>
      file.side === null || affinityOf(declared.get(names.get(name) ?? "") ?? "") !== affinityOf(sqliteType);
    return table.columns.some(isGiven) ? converterOfGiven(table, isGiven) : unchanged;
  }

  /** Where a column of the target stands among the carried ones; undefined where it is not carried. */
  indexOf(name: string): number | undefined {
    const index = this.table.columns.findIndex((column) => nameOn(this.target.side, column) === name);
    return index === -1 ? undefined : index;
  }

  async *rows(): AsyncGenerator<readonly IntakeRow[]> {
    let read = 0;
    for await (const page of this.file.read()) {
      read += page.length;
      if (page.length > 0) yield page.map((row) => this.#row(row));
    }
    if (read !== this.file.rows)
      throw new DualDbError("EXPORT_INVALID", `${this.file.path} was changed while it was read. Nothing was imported.`);
  }

  #row(row: FileRow): IntakeRow {
    const values = new Array<ExactValue>(this.#cells.length);
    let repaired: Map<string, Uint8Array> | undefined;
    let strange: string | undefined;
    for (let index = 0; index < this.#cells.length; index++) {
      const { name, column } = this.#cells[index] as Carried[number];
      const cell = row.cells[name];
      if (typeof cell === "string" || cell === null) {
        values[index] = cell;
        continue;
      }
      const decoded = this.file.decode(cell, column, this.target.side);
      if (decoded === undefined) strange ??= column.name;
      if (decoded?.bytes !== undefined) repaired = (repaired ?? new Map()).set(column.name, decoded.bytes);
      values[index] = decoded?.value ?? null;
    }
    return this.#placed(row.line, values, repaired, strange);
  }

  #placed(
    line: number,
    values: readonly ExactValue[],
    repaired: Map<string, Uint8Array> | undefined,
    strange: string | undefined,
  ): IntakeRow {
    const key = this.#keyAt.map((index) => values[index] ?? null);
    const source = { key: encodeKey(key), values, ...(repaired === undefined ? {} : { repaired }) };
    // What was SQLite's own stays as it was there.
    const bytes = this.isForeign || this.file.side === null ? undefined : repaired;
    const converted = this.#convert(bytes === undefined ? source : { key: source.key, values });
    const row: IntakeRow = { line, source, ...converted, ...(bytes === undefined ? {} : { bytes }) };
    const refused = (column: string, reason: string): IntakeRow => {
      const finding: Finding = { table: this.table.name, key: source.key, column, reason, action: "refused" };
      return { ...row, findings: [...row.findings, finding] };
    };
    if (strange !== undefined) return refused(strange, "not a value that an export writes");
    return key.includes(null) ? refused(this.table.key[key.indexOf(null)] ?? "", "NULL in the key") : row;
  }
}

/** A column of the file by its name there, and what it is carried as. */
type Carried = readonly { readonly name: string; readonly column: Column }[];

/** From the other side, or from a tool that says nothing of types: by the rules of the pair. */
function foreign(file: ImportFile, target: DiscoveredTable): Carried {
  const other = file.side ?? "sqlite";
  const given = described(file, other, target.name);
  const pairing = other === "sqlite" ? pairTables([given], [target]) : pairTables([target], [given]);
  const columns = pairing.pairs[0]?.table.columns ?? [];
  return columns.map((column) => ({ name: nameOn(other, column), column }));
}

function native(file: ImportFile, target: DiscoveredTable): Carried {
  const { pairs } = matchNames(
    file.columns.map(({ name }) => name),
    target.columns.map(({ name }) => name),
  );
  return target.columns.flatMap((column) => {
    const pair = pairs.find(([, name]) => name === column.name);
    return pair === undefined ? [] : [{ name: pair[0], column }];
  });
}

/** What a file says of its table, as a catalogue would. */
function described(file: ImportFile, side: Side, name: string): DiscoveredTable {
  const columns = file.columns.map(({ name, kind, type }) => ({
    name,
    kind: kind ?? ("text" as const),
    notNull: false,
    ...(side === "sqlite" ? { sqliteType: type ?? "" } : { type: type ?? "text" }),
    default: null,
    identity: false,
    collation: null,
    category: "base" as const,
  }));
  const none = {
    uniques: [],
    foreignKeys: [],
    generated: [],
    indexes: [],
    checks: [],
    keys: [],
    options: [],
    sql: null,
    partitions: [],
  };
  return { side, name, columns, key: [], primaryKey: [], ...none };
}

function unchanged(row: SourceRow): ConvertedRow {
  return { key: row.key, values: row.values, findings: nothing };
}

const nothing: readonly Finding[] = [];

function assertKnown(file: ImportFile, target: DiscoveredTable, carried: Carried): void {
  const known = new Set([
    ...carried.map(({ name }) => name),
    ...matchNames(
      file.columns.map(({ name }) => name),
      target.generated.map(({ name }) => name),
    ).pairs.map(([name]) => name),
  ]);
  const unknown = file.columns.map(({ name }) => name).filter((name) => !known.has(name));
  if (unknown.length === 0) return;
  throw new DualDbError(
    "EXPORT_INVALID",
    `${file.path} has columns that the table ${target.name} lacks: ${unknown.join(", ")}. Add them there, or take them out of the file.`,
    { side: target.side, table: target.name, column: unknown[0], details: { columns: unknown } },
  );
}

function assertComplete(file: ImportFile, target: DiscoveredTable, carried: Carried): void {
  if (file.rows === 0) return;
  const taken = new Set(carried.map(({ column }) => nameOn(target.side, column)));
  const key = target.keys.length > 0 && !target.keys.some((names) => names.every((name) => taken.has(name)));
  const lacking = target.columns
    .filter(
      ({ name, notNull, identity, ...column }) => notNull && !identity && column.default === null && !taken.has(name),
    )
    .map(({ name }) => name);
  const needed = [...new Set([...lacking, ...(key ? (target.keys[0] ?? []).filter((name) => !taken.has(name)) : [])])];
  if (needed.length === 0) return;
  throw new DualDbError(
    "EXPORT_INVALID",
    `${file.path} lacks columns that the table ${target.name} needs: ${needed.join(", ")}.`,
    { side: target.side, table: target.name, column: needed[0], details: { columns: needed } },
  );
}

/** In the names of the carried columns. */
function keyOf(file: ImportFile, target: DiscoveredTable, carried: Carried): readonly string[] {
  if (file.rows === 0) return [];
  const names = new Map(carried.map(({ column }) => [nameOn(target.side, column), column.name]));
  const key = target.keys.find((columns) => columns.every((name) => names.has(name))) ?? [];
  return key.map((name) => names.get(name) ?? name);
}
