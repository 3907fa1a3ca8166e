import type { Side } from "../engines/engine.js";
import { type Databases, type Scene, sceneOf, withDatabases } from "./databases.js";
import type { ToolOptions } from "./options.js";
import { endIfAsked } from "./progress.js";
import { type Outcome, recordingFailure, recordRun } from "./runs.js";
import { DifferenceFile } from "./verify/difference-file.js";
import { compareKeyless, type KeylessReport } from "./verify/keyless.js";
import { type Orphans, orphansOf } from "./verify/orphans.js";
import { type SchemaDifference, schemaDifferences } from "./verify/schema.js";
import { checkSearch, type SearchCheck, searched } from "./verify/search.js";
import { type BehindSequence, behindSequences } from "./verify/sequences.js";
import { Patience, type ReachedLook } from "./verify/settling.js";
import { livePair, lookOf, sourceOf } from "./verify/source.js";
import { compareTable, type Difference, type DifferenceSink, type TableCounts } from "./verify/table.js";
import type { Verdicts } from "./verify/verdicts.js";

/** What a comparison takes. */
export interface VerifyOptions extends ToolOptions {
  /** Whose rows count, where the databases are no pair; SQLite by default. In a pair it is the primary. */
  readonly from?: Side | undefined;
  /** How long rows that are owed, or keep changing, are waited for in all, in milliseconds; 30,000 by default. */
  readonly settleMs?: number | undefined;
  /** A file for every difference, one JSON object a line. It is begun anew. */
  readonly output?: string | undefined;
}

/** One table's rows. */
export interface TableReport extends TableCounts {
  readonly table: string;
  /** The first 1,000. */
  readonly differences: readonly Difference[];
}

/** What a comparison has found. Keys and names, never a value. */
export interface VerifyReport {
  /** Whether every row of the tables is the same on both sides, nothing is left out or owed, and the other checks are in order. */
  readonly equal: boolean;
  /** The side whose rows count. */
  readonly from: Side;
  /** Whether the databases are a pair, so that rows that are owed can be told from those that differ. */
  readonly armed: boolean;
  /** Unix times in milliseconds. */
  readonly beganAt: number;
  readonly endedAt: number;
  readonly tables: readonly TableReport[];
  /** Tables whose rows cannot be told apart. */
  readonly keyless: readonly KeylessReport[];
  /** Tables of SQLite that could not be compared, with the reason. */
  readonly notCompared: readonly { readonly table: string; readonly reason: string }[];
  readonly sequences: readonly BehindSequence[];
  readonly orphans: readonly Orphans[];
  /** What the tables' definitions differ in. Only a column that the target lacks counts for `equal`: rows can be the same without the rest. */
  readonly schema: readonly SchemaDifference[];
  readonly search: SearchCheck | null;
}

const timeoutMs = 60_000;
const settleMs = 30_000;
const differencesInReport = 1_000;

/**
 * Compares both databases to the last row and column, and changes nothing. What is compared is the source's row as the mirror would carry
 * it; equal means equal in PostgreSQL's terms. Others may write meanwhile: what is owed, or has just moved, is looked at again until it
 * settles.
 * @throws NOT_PRIMARY where `from` is the shadow of a pair, or the primary moves meanwhile. CONFIG_INVALID. FILE_UNUSABLE. INTERRUPTED.
 */
export async function verify(options: VerifyOptions = {}): Promise<VerifyReport> {
  return verifyWith(options, () => undefined);
}

/** The same, with a test that acts between two looks. */
export async function verifyWith(options: VerifyOptions, reached: ReachedLook): Promise<VerifyReport> {
  return withDatabases({ ...withTwoConnections(options), onlyRead: true }, async (databases) => {
    const scene = await sceneOf(databases, options);
    const postgres = livePair(scene) === null ? null : databases.postgres;
    return recordingFailure("verify", postgres, options, () => compareInto(databases, scene, options, reached));
  });
}

async function compareInto(
  databases: Databases,
  scene: Scene,
  options: VerifyOptions,
  reached: ReachedLook,
): Promise<VerifyReport> {
  endIfAsked(options.signal);
  // Not before it is certain that there is something to compare: a report from before stays.
  const file = options.output === undefined ? null : await DifferenceFile.open(options.output);
  try {
    return await compareScene(databases, scene, options, async (difference) => file?.add(difference), reached);
  } finally {
    await file?.close();
  }
}

/** Rows are looked at again while the stream of all rows is open. */
export function withTwoConnections<Options extends ToolOptions>(options: Options): Options {
  const env = options.env ?? process.env;
  return env.POSTGRES_POOL_SIZE?.trim() === "1" ? { ...options, env: { ...env, POSTGRES_POOL_SIZE: "2" } } : options;
}

/** The comparison itself, between databases that are open. Every difference goes to `sink`, which it waits for. */
export async function compareScene(
  databases: Databases,
  scene: Scene,
  options: VerifyOptions,
  sink: DifferenceSink,
  reached: ReachedLook = () => undefined,
): Promise<VerifyReport> {
  const clock = options.clock ?? Date.now;
  const beganAt = clock();
  const from = sourceOf(scene, options.from);
  const patience = new Patience(options.settleMs ?? settleMs, reached);
  const tables = await compareTables(databases, scene, from, { ...options, patience }, sink);
  const keyless = await compareBags(databases, scene, { ...options, patience });
  const checks = await check(databases, scene, options);
  const report = {
    from,
    armed: livePair(scene) !== null,
    beganAt,
    endedAt: clock(),
    tables,
    keyless,
    notCompared: scene.pairing.unmirrored.filter(({ table }) => !keyless.some((report) => report.table === table)),
    ...checks,
  };
  const verdicts = verdictsOf(report);
  const equal = verdicts.differing.length === 0;
  if (report.armed) await record(databases, options, { ...report, equal }, verdicts);
  return { equal, ...report };
}

/** How a comparison waits, tells how far it is, and is ended. */
interface Waiting extends Pick<VerifyOptions, "signal" | "onProgress"> {
  readonly patience: Patience;
}

async function compareTables(
  databases: Databases,
  scene: Scene,
  from: Side,
  { patience, signal, onProgress }: Waiting,
  sink: DifferenceSink,
): Promise<TableReport[]> {
  const look = lookOf(scene, from, databases, timeoutMs);
  const reports: TableReport[] = [];
  for (const table of scene.pairing.tables) {
    const differences: Difference[] = [];
    const counts = await compareTable(
      table,
      { ...databases, look, patience, timeoutMs, signal, onProgress },
      async (difference) => {
        if (differences.length < differencesInReport) differences.push(difference);
        await sink(difference);
      },
    );
    reports.push({ table: table.name, ...counts, differences });
  }
  return reports;
}

async function compareBags(
  databases: Databases,
  { pairing }: Scene,
  { patience, signal, onProgress }: Waiting,
): Promise<KeylessReport[]> {
  const reasons = new Map(pairing.unmirrored.map(({ table, reason }) => [table, reason]));
  const reports: KeylessReport[] = [];
  for (const table of pairing.keyless) {
    const reason = reasons.get(table.name) ?? "";
    reports.push(await compareKeyless(table, reason, { ...databases, patience, timeoutMs, signal, onProgress }));
  }
  return reports;
}

type Checks = Pick<VerifyReport, "sequences" | "orphans" | "schema" | "search">;

async function check(
  { sqlite, postgres }: Databases,
  { pairing, graph }: Scene,
  { signal, onProgress }: VerifyOptions,
): Promise<Checks> {
  const orphans: Orphans[] = [];
  for (const table of pairing.tables) {
    endIfAsked(signal);
    onProgress?.({ step: "check", table: table.name, rows: 0, total: null });
    orphans.push(...(await orphansOf(graph, table, { sqlite, postgres, timeoutMs })));
  }
  const sequences = await postgres.transaction({ mode: "read", timeoutMs }, (reader) =>
    behindSequences(reader, pairing.tables),
  );
  const search = await checkSearch(pairing.tables, sqlite, postgres);
  return { sequences, orphans, schema: pairing.pairs.flatMap(schemaDifferences), search };
}

/** The tables that were looked at, and those in which something is amiss. */
function verdictsOf(report: Omit<VerifyReport, "equal">): Verdicts {
  const { tables, keyless, notCompared, sequences, orphans, schema, search, armed, from } = report;
  // While SQLite is primary nobody asks PostgreSQL for a number.
  const counters = armed && from === "sqlite" ? [] : sequences;
  const differing = new Set([
    ...namesIn(tables.filter((table) => !isTableEqual(table))),
    ...namesIn(keyless.filter(({ same }) => same !== true)),
    ...namesIn(notCompared),
    ...namesIn(counters),
    ...namesIn(orphans),
    ...namesIn(schema.filter(({ kind, side }) => kind === "column" && side !== from)),
    ...(search === null || search.missed.length === 0 ? [] : [searched]),
  ]);
  return { compared: namesIn([...tables, ...keyless, ...notCompared]), differing: [...differing] };
}

function namesIn(findings: readonly { readonly table: string }[]): string[] {
  return findings.map(({ table }) => table);
}

function isTableEqual({ missing, extra, different, refused, owed }: TableCounts): boolean {
  return missing + extra + different + refused + owed === 0;
}

/** For `dualdb status` and its gates. */
async function record(
  { postgres }: Databases,
  options: VerifyOptions,
  report: VerifyReport,
  verdicts: Verdicts,
): Promise<void> {
  const { equal, beganAt, endedAt, tables } = report;
  const outcome: Outcome = equal ? "done" : "differs";
  const sum = (count: keyof Omit<TableCounts, "equal">) => tables.reduce((total, table) => total + table[count], 0);
  const counts = { rows: sum(report.from), missing: sum("missing"), extra: sum("extra"), different: sum("different") };
  const facts = {
    tables: options.tables ?? null,
    equal,
    ...counts,
    refused: sum("refused"),
    owed: sum("owed"),
    ...verdicts,
  };
  await recordRun(postgres, { command: "verify", outcome, beganAt, endedAt, facts }, options.logger);
}
