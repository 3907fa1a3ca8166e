import type { MissingColumn, Pairing } from "../data/catalogue/discover.js";
import type { TableStatement } from "../data/definition/definition.js";
import type { Side } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import type { PairState } from "../shadow/state.js";
import { type CreatedTables, createTables } from "./copy/create-tables.js";
import { type Copied, copyIntoPostgres } from "./copy/into-postgres.js";
import { copyIntoSqlite } from "./copy/into-sqlite.js";
import { withNewFile } from "./copy/new-file.js";
import { copyInPair } from "./copy/pair.js";
import type { CopyReport, LeftOut } from "./copy/report.js";
import { fedBackTo, retryRejects } from "./copy/retry.js";
import type { CopyRun } from "./copy/run.js";
import { type Databases, type Scene, sceneOf, statesOf } from "./databases.js";
import type { ToolOptions } from "./options.js";
import { isOf } from "./rejects.js";
import { assertNoRowSecurity } from "./row-security.js";
import { type Run, recordingFailure, recordRun } from "./runs.js";
import { assertAtRest } from "./verify/source.js";

export type { CopiedTable, CopyReport, FindingCount, LeftOut, StuckSequence } from "./copy/report.js";

/** What `copy` takes beside the options of every tool. */
export interface CopyOptions extends ToolOptions {
  /** The side whose rows are copied: the primary of a pair by default, else SQLite. */
  readonly from?: Side | undefined;
  /** Make the tables that the target lacks; a SQLite file that is not there is made then, too. */
  readonly createTables?: boolean | undefined;
  /** All or nothing: one transaction, and the first row that cannot go ends it. */
  readonly strict?: boolean | undefined;
  /** The folder for rows that cannot go; `rejects` by default. */
  readonly rejects?: string | undefined;
  /** Told of each statement that made a table, an index or a foreign key, as soon as it is there for good. It must not throw. */
  readonly onCreated?: ((sql: string) => void) | undefined;
  /** Feed the rows of that folder back, once somebody has corrected them, instead of reading the source. */
  readonly retryRejects?: boolean | undefined;
}

/**
 * Brings the rows of one side to the other, fast, while both are in use. In a pair: what the target is owed, under the mirror's lock.
 * Else every row of the source as of one moment; rows that only the target has are left alone. Killed at any point and started again it
 * ends exact, and a second run changes nothing. Rows that cannot go are set aside in a folder, one file a table.
 * @throws NOT_PRIMARY where the rows of a pair are to be overwritten by those that follow them. CONSTRAINT_VIOLATED where `strict` meets
 * a row that cannot go. ACCESS_DENIED where row-level security holds for the user. CONFIG_INVALID, FINALIZED, PAIR_MISMATCH, INTERRUPTED.
 */
export async function copy(options: CopyOptions = {}): Promise<CopyReport> {
  const createFile = options.createTables === true && options.from === "postgres";
  return withNewFile({ ...options, createFile }, async (databases) => {
    const states = await statesOf(databases.sqlite, databases.postgres);
    const postgres = states === null ? null : databases.postgres;
    return recordingFailure("copy", postgres, options, () => copyBetween(databases, states, options));
  });
}

async function copyBetween(databases: Databases, states: PairState | null, options: CopyOptions): Promise<CopyReport> {
  const began = performance.now();
  const beganAt = (options.clock ?? Date.now)();
  const from = sourceOf(options.from, states);
  const created: string[] = [];
  const onMade = (statements: readonly TableStatement[]) => {
    for (const { sql } of statements) {
      created.push(sql);
      options.onCreated?.(sql);
    }
  };
  const made = options.createTables === true ? await create(databases, from, states, options, onMade) : null;
  const scene = await sceneOf(databases, options);
  const rejects = options.strict === true ? null : (options.rejects ?? "rejects");
  const to = from === "sqlite" ? "postgres" : "sqlite";
  const origin = { by: "copy", to } as const;
  const run: CopyRun = {
    databases,
    scene,
    options: { ...options, ...batchSizeOf(options, databases.config) },
    rejects,
    origin,
    isOurs: options.retryRejects === true ? fedBackTo(to, scene.states === null ? to : from) : isOf(origin),
  };
  const { tables, leftOut } = await copyTables(run, from, options.retryRejects === true);
  const refused = (await made?.finish()) ?? [];
  const report: CopyReport = {
    from,
    to,
    paired: scene.states !== null,
    tables,
    leftOut: [...(options.retryRejects === true ? [] : unmatched(scene, from)), ...leftOut],
    rejects: tables.some(({ setAside }) => setAside > 0) ? rejects : null,
    created,
    notes: [...(made?.notes ?? []), ...refused, ...notesOn(scene, from, made !== null)],
    milliseconds: Math.round(performance.now() - began),
  };
  if (report.paired) await recordRun(databases.postgres, runOf(report, beganAt, options), options.logger);
  return report;
}

function create(
  databases: Databases,
  from: Side,
  states: PairState | null,
  options: CopyOptions,
  onMade: (statements: readonly TableStatement[]) => void,
): Promise<CreatedTables> {
  if (states === null) return createTables(databases, from, options, onMade);
  throw new DualDbError(
    "CONFIG_INVALID",
    "These databases are a pair, whose tables are made by migrations: add one for each side, and run dualdb migrate.",
  );
}

function runOf({ tables, leftOut, rejects }: CopyReport, beganAt: number, options: CopyOptions): Run {
  const written = tables.reduce((sum, table) => sum + table.written, 0);
  const setAside = tables.reduce((sum, table) => sum + table.setAside, 0);
  return {
    command: "copy",
    outcome: rejects === null && leftOut.length === 0 ? "done" : "differs",
    beganAt,
    endedAt: (options.clock ?? Date.now)(),
    facts: { tables: options.tables ?? null, written, setAside },
  };
}

async function copyTables(run: CopyRun, from: Side, retry: boolean): Promise<Copied> {
  const { scene } = run;
  const { pairing } = scene;
  const lacking = new Set(lackingColumns(pairing, from).map(({ table }) => table));
  const whole = pairing.tables.filter(({ name }) => !lacking.has(name));
  const all = [...whole, ...pairing.keyless.filter(({ name }) => !lacking.has(name))];
  await assertNoRowSecurity(run.databases.postgres, all);
  if (retry) return { tables: await retryRejects(run, from, scene.states === null ? all : whole), leftOut: [] };
  if (scene.states !== null) return { tables: await copyInPair(run, from, whole), leftOut: [] };
  if (from === "sqlite") return copyIntoPostgres(run, all);
  return copyIntoSqlite(run, all);
}

function batchSizeOf(
  { batchSize }: ToolOptions,
  { migrationBatchSize }: { readonly migrationBatchSize: number | null },
) {
  const size = batchSize ?? migrationBatchSize;
  return size === null ? {} : { batchSize: size };
}

/** In a pair the primary is the truth, and nothing may come over it. */
function sourceOf(wanted: Side | undefined, states: PairState | null): Side {
  if (states === null) return wanted ?? "sqlite";
  if (states.postgres.finalized)
    throw new DualDbError(
      "FINALIZED",
      "This PostgreSQL database was finalized: it has left SQLite behind, and nothing is copied between them any more.",
    );
  assertAtRest(states);
  const { primary } = states.sqlite;
  if (wanted === undefined || wanted === primary) return primary;
  throw new DualDbError(
    "NOT_PRIMARY",
    `${wanted} is not the primary of this pair: copying from it would overwrite newer rows. Leave out --from, or change the primary first.`,
    { side: wanted },
  );
}

/** Tables that are not looked at. In a pair that is one without a key, too: nothing says which of its rows are owed. */
function unmatched({ pairing, states }: Scene, from: Side): LeftOut[] {
  const keyless = new Set(states === null ? pairing.keyless.map(({ name }) => name) : []);
  const missing = new Set([...pairing.missing, ...lackingColumns(pairing, from)]);
  const others = new Set(from === "postgres" ? pairing.uncarried.map(({ table }) => table) : []);
  return [
    ...pairing.unmirrored.filter(({ table }) => !keyless.has(table) && !others.has(table)),
    ...[...missing].map(({ side, table, column }) => ({ table, reason: `${side} has no column ${column}` })),
  ];
}

/** Columns without which the target cannot take a table: in one that has no key nobody could find the rows again to fill them in. */
function lackingColumns({ pairs }: Pairing, from: Side): MissingColumn[] {
  return pairs.flatMap(({ missing }) => missing).filter(({ side }) => side !== from);
}

/** SQLite's tables that are left out for what they are. Those with rows are among `leftOut`; where tables were made, they are noted, too. */
function notesOn({ pairing }: Scene, from: Side, isCreating: boolean): CopyReport["notes"] {
  if (from === "postgres") return [];
  return pairing.uncarried
    .filter(({ holdsRows }) => isCreating || !holdsRows)
    .map(({ table, reason }) => ({ table, column: null, text: reason }));
}
