import { existsSync } from "node:fs";
import { componentsOf } from "../../data/components.js";
import { type ConvertedRow, converterOf, type SourceRow } from "../../data/conversion/convert.js";
import { ownAlterations } from "../../data/conversion/own-input.js";
import type { Finding } from "../../data/finding.js";
import { TableGraph } from "../../data/graph.js";
import { encodeKey } from "../../data/key.js";
import { reasonOf } from "../../data/refusal.js";
import { encodeRow } from "../../data/rows/copy-text.js";
import { fromJson } from "../../data/rows/exact-json.js";
import { rowsOf } from "../../data/rows/rows.js";
import { exactRowsOf } from "../../data/rows/sqlite-pages.js";
import { type Column, quotedOn, type Table } from "../../data/table.js";
import type { ExactValue, Side, Transaction } from "../../engines/engine.js";
import { DualDbError, hasCode } from "../../errors.js";
import { fileOfTable } from "../private-files.js";
import { digestOf, type Reject, rejectsIn } from "../rejects.js";
import { tidyInPostgres } from "./aftermath.js";
import { refusedRow } from "./batch.js";
import { Lines } from "./lines.js";
import { copyInPair } from "./pair.js";
import { type Loaded, PostgresLoad } from "./postgres-load.js";
import { PostgresStagedLoad } from "./postgres-staged-load.js";
import type { CopiedTable } from "./report.js";
import { type CopyRun, TableRun, targetIn, timeoutMs } from "./run.js";
import { account } from "./settle.js";
import { SqliteLoad } from "./sqlite-load.js";
import { SqliteStagedLoad } from "./sqlite-staged-load.js";
import { type StagedLoad, schemaOf } from "./stages.js";

const rowsAtOnce = 500;

/**
 * Feeds rows back that were set aside, as they stand in the folder now: to the target; in a pair to the primary, as if an application had
 * written them, from where they go over like any others. A row that is refused again stays in its file; the others leave it.
 */
export async function retryRejects(run: CopyRun, from: Side, tables: readonly Table[]): Promise<CopiedTable[]> {
  const { rejects } = run;
  if (rejects === null)
    throw new DualDbError("CONFIG_INVALID", "Rows that are fed back one by one cannot be all or nothing.");
  const isWaiting = ({ name }: Table) => existsSync(fileOfTable(rejects, name, ".jsonl"));
  const graph = new TableGraph(tables);
  if (run.scene.states === null) {
    const copied: CopiedTable[] = [];
    for (const component of componentsOf(graph))
      copied.push(...(await toTarget(run, from, component.tables.filter(isWaiting))));
    return copied;
  }
  for (const table of graph.parentsFirst.filter(isWaiting)) {
    await toPrimary(run, from, table);
    if (from === "postgres") await tidyInPostgres(run.databases, table, true);
  }
  return copyInPair(run, from, tables);
}

/** Tells the lines that can be fed back: of a copy by its target, of an import by the side that its rows are fed to. */
export function fedBackTo(target: Side, fed: Side): (reject: Reject) => boolean {
  return ({ by = "copy", to }) => (to ?? target) === (by === "copy" ? target : fed);
}

/** Rows that may point to each other go together. */
async function toTarget(run: CopyRun, from: Side, tables: readonly Table[]): Promise<CopiedTable[]> {
  const runs = tables.map((table) => new TableRun(run, table, null));
  try {
    for (const one of runs.filter(({ table }) => table.key.length === 0)) await feedKeyless(run, from, one);
    await feedTogether(
      run,
      from,
      runs.filter(({ table }) => table.key.length > 0),
    );
    const copied: CopiedTable[] = [];
    for (const one of runs) {
      if (from === "sqlite") one.tally.stuck(await tidyInPostgres(run.databases, one.table, one.tally.written > 0));
      copied.push(await one.finish());
    }
    return copied;
  } finally {
    for (const one of runs) await one.close();
  }
}

async function feedTogether(run: CopyRun, from: Side, runs: readonly TableRun[]): Promise<void> {
  if (runs.length === 0) return;
  await inStages(
    run,
    from,
    runs.map(({ table }) => table),
    async (load, altered) => {
      await load.begin();
      for (const one of runs)
        for await (const rows of rowsIn(run, one.table))
          await feed(one, from, rows, async (converted) => {
            const loaded = await load.stageRows(one.table, valuesOf(converted));
            return { ...loaded, altered: await altered(one.table, takenOf(converted, loaded)) };
          });
      await account(runs, await load.settle(), (table, keys) => rowsOfKeys(run, table, keys));
    },
  );
}

function inStages(
  run: CopyRun,
  from: Side,
  tables: readonly Table[],
  work: (load: StagedLoad, altered: Altered) => Promise<void>,
): Promise<void> {
  const { sqlite, postgres } = run.databases;
  const targets = tables.map((table) => targetIn(run, table, from === "sqlite" ? "postgres" : "sqlite"));
  if (from === "sqlite")
    return postgres.transaction({ mode: "write", timeoutMs }, (target) =>
      work(new PostgresStagedLoad(target, targets), (table, rows) => ownAlterations(target, table, rows)),
    );
  const schema = schemaOf(run.databases);
  return sqlite.transaction({ mode: "write" }, (target) =>
    work(new SqliteStagedLoad(target, targets, schema), () => Promise.resolve([])),
  );
}

/** Rows that nothing tells apart cannot be staged. */
async function feedKeyless(run: CopyRun, from: Side, one: TableRun): Promise<void> {
  for await (const rows of rowsIn(run, one.table))
    await feed(one, from, rows, (converted) => inserted(run, from, one.table, converted));
}

async function inserted(run: CopyRun, from: Side, table: Table, rows: readonly ConvertedRow[]): Promise<Fed> {
  const { sqlite, postgres } = run.databases;
  if (from === "postgres") {
    const load = new SqliteLoad(targetIn(run, table, "sqlite"));
    const loaded = await sqlite.transaction({ mode: "write" }, (target) => load.run(target, valuesOf(rows), "insert"));
    return { written: loaded.written, refused: loaded.refused, altered: [] };
  }
  const load = new PostgresLoad(targetIn(run, table, "postgres"));
  return postgres.transaction({ mode: "write", timeoutMs }, async (target) => {
    const loaded = await load.run(target, Lines.of(valuesOf(rows).map(encodeRow)), "insert");
    return { ...loaded, altered: await ownAlterations(target, table, takenOf(rows, loaded)) };
  });
}

/** What became of the rows, and what PostgreSQL's own input has made of them. */
interface Fed extends Loaded {
  readonly altered: readonly Finding[];
}

/** What the target's own input makes of rows that it has taken. */
type Altered = (table: Table, rows: readonly ConvertedRow[]) => Promise<readonly Finding[]>;

function valuesOf(rows: readonly ConvertedRow[]): (readonly ExactValue[])[] {
  return rows.map(({ values }) => values);
}

function takenOf(rows: readonly ConvertedRow[], { refused }: Loaded): ConvertedRow[] {
  return rows.filter((_, index) => !refused.has(index));
}

/** What is not refused and not said to be written counts as there already. */
async function feed(
  one: TableRun,
  from: Side,
  rows: readonly SourceRow[],
  load: (rows: readonly ConvertedRow[]) => Promise<Fed>,
): Promise<void> {
  const { table, tally } = one;
  const convert = converterOf(table, from === "sqlite" ? "postgres" : "sqlite");
  const converted = rows.map((row) => ({ row, ...convert(row) }));
  const early = converted.flatMap(({ row, findings }) => {
    const finding = findings.find(({ action }) => action === "refused");
    return finding === undefined ? [] : [{ row, finding }];
  });
  const going = converted.filter(({ findings }) => findings.every(({ action }) => action !== "refused"));
  const { written, refused, altered } = await load(going);
  tally.read += rows.length;
  tally.written += written;
  tally.alreadyThere += going.length - refused.size - written;
  const taken = going.filter((_, index) => !refused.has(index));
  one.note([...taken.flatMap(({ findings }) => findings), ...altered]);
  const late = going.flatMap(({ row }, index) => refusedRow(table, row, refused.get(index)));
  await one.setAside([...early, ...late]);
}

async function rowsOfKeys(run: CopyRun, table: Table, keys: readonly string[]): Promise<SourceRow[]> {
  const wanted = new Set(keys);
  const found: SourceRow[] = [];
  for await (const rows of rowsIn(run, table)) found.push(...rows.filter(({ key }) => wanted.has(key)));
  return found;
}

/**
 * A row that the primary itself refuses stays where it is: the pass over the pair meets it, or its file is the only place that has it. One
 * that has changed on the primary since it was set aside, or is gone there, is left as it is now: an application's write is the newer one.
 */
async function toPrimary(run: CopyRun, from: Side, table: Table): Promise<void> {
  const engine = run.databases[from];
  for await (const rows of rowsIn(run, table)) {
    for (const row of rows) {
      try {
        await engine.transaction({ mode: "write", timeoutMs }, async (primary) => {
          if (from === "postgres")
            await primary.script(`LOCK TABLE ${quotedOn(from, table)} IN SHARE ROW EXCLUSIVE MODE`);
          if (await isAsItWas(primary, from, table, row.reject))
            await rowsOf(from).upsert(primary, table, [row.values]);
        });
      } catch (error) {
        if (!hasCode(error, "CONSTRAINT_VIOLATED", "VALUE_REFUSED")) throw error;
        const message = `The corrected row ${row.key} of ${table.name} does not fit ${from} itself (${reasonOf(error)}): correct it again.`;
        throw new DualDbError(error.code, message, { cause: error, side: from, table: table.name });
      }
    }
  }
}

async function isAsItWas(primary: Transaction, from: Side, table: Table, { key, was }: Reject): Promise<boolean> {
  if (was === undefined) return true;
  const [now] =
    from === "sqlite" ? await exactRowsOf(primary, table, [key]) : await rowsOf(from).read(primary, table, [key]);
  return now !== undefined && digestOf(table, now) === was;
}

/** A row as it stands in its file, maybe corrected. */
interface RejectedRow extends SourceRow {
  readonly reject: Reject;
}

async function* rowsIn({ rejects, isOurs }: CopyRun, table: Table): AsyncGenerator<RejectedRow[]> {
  const path = fileOfTable(rejects ?? "", table.name, ".jsonl");
  let rows: RejectedRow[] = [];
  for await (const { reject } of rejectsIn(path)) {
    if (!isOurs(reject)) continue;
    rows.push(rowOf(path, table, reject));
    if (rows.length < rowsAtOnce) continue;
    yield rows;
    rows = [];
  }
  if (rows.length > 0) yield rows;
}

function rowOf(path: string, table: Table, reject: Reject): RejectedRow {
  const { key, row } = reject;
  const repaired = new Map<string, Uint8Array>();
  const values = table.columns.map((column) => {
    const read = column.name in row ? fromJson(row[column.name]) : undefined;
    if (read === undefined) throw unreadable(path, key, column);
    if (read.bytes !== undefined) repaired.set(column.name, read.bytes);
    return read.value;
  });
  const parts = table.key.map((name) => values[table.columns.findIndex((column) => column.name === name)] ?? null);
  return { key: encodeKey(parts), values, repaired, reject };
}

function unreadable(path: string, key: string, { name }: Column): DualDbError {
  const message = `${path}: the row of ${key} has no value for ${name} that can be read: give a text, a number, true, false or null.`;
  return new DualDbError("VALIDATION_FAILED", message, { column: name, details: { file: path, key } });
}
