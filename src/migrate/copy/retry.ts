import { existsSync } from "node:fs";
import { type ConvertedRow, converterOf, type SourceRow } from "../../data/conversion/convert.js";
import { OwnInput } from "../../data/conversion/own-input.js";
import type { Finding } from "../../data/finding.js";
import { TableGraph } from "../../data/graph.js";
import { encodeKey } from "../../data/key.js";
import { reasonOf } from "../../data/refusal.js";
import { encodeRow } from "../../data/rows/copy-text.js";
import { fromJson } from "../../data/rows/exact-json.js";
import { rowsOf } from "../../data/rows/rows.js";
import type { Column, Table } from "../../data/table.js";
import type { Side } from "../../engines/engine.js";
import { DualDbError, hasCode } from "../../errors.js";
import { fileOfTable } from "../private-files.js";
import { type Reject, rejectsIn } from "../rejects.js";
import { Lines } from "./lines.js";
import { copyInPair } from "./pair.js";
import { type Loaded, PostgresLoad } from "./postgres-load.js";
import type { CopiedTable } from "./report.js";
import { type CopyRun, TableRun, timeoutMs } from "./run.js";
import { SqliteLoad } from "./sqlite-load.js";

const rowsAtOnce = 500;

/**
 * Feeds rows back that were set aside, as they stand in the folder now: to the target; in a pair to the primary, as if an application had
 * written them, from where they go over like any others. A row that is refused again stays in its file; the others leave it.
 */
export async function retryRejects(run: CopyRun, from: Side, tables: readonly Table[]): Promise<CopiedTable[]> {
  const { rejects } = run;
  if (rejects === null)
    throw new DualDbError("CONFIG_INVALID", "Rows that are fed back one by one cannot be all or nothing.");
  const { parentsFirst } = new TableGraph(tables);
  const waiting = parentsFirst.filter(({ name }) => existsSync(fileOfTable(rejects, name, ".jsonl")));
  if (run.scene.states === null) return each(waiting, (table) => toTarget(run, from, table));
  for (const table of waiting) await toPrimary(run, from, table);
  return copyInPair(run, from, tables);
}

async function toTarget(run: CopyRun, from: Side, table: Table): Promise<CopiedTable> {
  const one = new TableRun(run, table, null);
  try {
    for await (const rows of rowsIn(run, table)) await feed(run, from, one, rows);
    return await one.finish();
  } finally {
    await one.close();
  }
}

async function feed(run: CopyRun, from: Side, one: TableRun, rows: readonly SourceRow[]): Promise<void> {
  const { table, tally } = one;
  const converted = rows.map(converterOf(table, from === "sqlite" ? "postgres" : "sqlite"));
  const isGoing = converted.map(({ findings }) => findings.every(({ action }) => action !== "refused"));
  const going = rows.filter((_, index) => isGoing[index]);
  const { written, refused, altered } = await loaded(
    run,
    from,
    table,
    converted.filter((_, index) => isGoing[index]),
  );
  tally.read += rows.length;
  tally.written += written;
  tally.alreadyThere += going.length - refused.size - written;
  const arrived = converted.filter((_, index) => isGoing[index]).filter((_, index) => !refused.has(index));
  one.note([...arrived.flatMap(({ findings }) => findings), ...altered]);
  const late = [...refused].map(([index, { column, reason }]) => {
    const row = going[index] as SourceRow;
    return { row, finding: refusal(table, row, column, reason) };
  });
  const early = rows.flatMap((row, index) => {
    const finding = converted[index]?.findings.find(({ action }) => action === "refused");
    return finding === undefined ? [] : [{ row, finding }];
  });
  await one.setAside([...early, ...late]);
}

/** What became of the rows, and what PostgreSQL's own input has made of them. */
interface Fed extends Loaded {
  readonly altered: readonly Finding[];
}

async function loaded(run: CopyRun, from: Side, table: Table, rows: readonly ConvertedRow[]): Promise<Fed> {
  const { sqlite, postgres } = run.databases;
  const mode = table.key.length === 0 ? "insert" : "merge";
  const values = rows.map((row) => row.values);
  if (from === "postgres") {
    const load = new SqliteLoad(table);
    const done = await sqlite.transaction({ mode: "write" }, (target) => load.run(target, values, mode));
    return { ...done, altered: [] };
  }
  const pair = run.scene.pairing.pairs.find((candidate) => candidate.table.name === table.name);
  const load = new PostgresLoad(table, pair?.postgres.foreignKeys ?? []);
  return postgres.transaction({ mode: "write", timeoutMs }, async (target) => {
    const done = await load.run(target, Lines.of(values.map(encodeRow)), mode);
    const own = new OwnInput(table);
    const taken = rows.filter((_, index) => !done.refused.has(index));
    const altered = await own.findings(
      target,
      taken.map((row) => own.textsOf(row)),
    );
    return { ...done, altered: altered.flat() };
  });
}

/** A row that the primary itself refuses stays where it is: the pass over the pair meets it, or its file is the only place that has it. */
async function toPrimary(run: CopyRun, from: Side, table: Table): Promise<void> {
  const engine = run.databases[from];
  for await (const rows of rowsIn(run, table)) {
    for (const row of rows) {
      try {
        await engine.transaction({ mode: "write", timeoutMs }, (primary) =>
          rowsOf(from).upsert(primary, table, [row.values]),
        );
      } catch (error) {
        if (!hasCode(error, "CONSTRAINT_VIOLATED", "VALUE_REFUSED")) throw error;
        const message = `The corrected row ${row.key} of ${table.name} does not fit ${from} itself (${reasonOf(error)}): correct it again.`;
        throw new DualDbError(error.code, message, { cause: error, side: from, table: table.name });
      }
    }
  }
}

async function* rowsIn({ rejects }: CopyRun, table: Table): AsyncGenerator<SourceRow[]> {
  const path = fileOfTable(rejects ?? "", table.name, ".jsonl");
  let rows: SourceRow[] = [];
  for await (const { reject } of rejectsIn(path)) {
    rows.push(rowOf(path, table, reject));
    if (rows.length < rowsAtOnce) continue;
    yield rows;
    rows = [];
  }
  if (rows.length > 0) yield rows;
}

function rowOf(path: string, table: Table, { key, row }: Reject): SourceRow {
  const repaired = new Map<string, Uint8Array>();
  const values = table.columns.map((column) => {
    const read = column.name in row ? fromJson(row[column.name]) : undefined;
    if (read === undefined) throw unreadable(path, key, column);
    if (read.bytes !== undefined) repaired.set(column.name, read.bytes);
    return read.value;
  });
  const parts = table.key.map((name) => values[table.columns.findIndex((column) => column.name === name)] ?? null);
  return { key: encodeKey(parts), values, repaired };
}

function unreadable(path: string, key: string, { name }: Column): DualDbError {
  const message = `${path}: the row of ${key} has no value for ${name} that can be read: give a text, a number, true, false or null.`;
  return new DualDbError("VALIDATION_FAILED", message, { column: name, details: { file: path, key } });
}

function refusal(table: Table, { key }: SourceRow, column: string, reason: string): Finding {
  return { table: table.name, key, column, reason, action: "refused" };
}

async function each<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}
