import { type Config, targetName } from "../config.js";
import {
  type DiscoveredTable,
  discoverPostgres,
  discoverSqlite,
  type EpochChoices,
} from "../data/catalogue/discover.js";
import { matchNames } from "../data/catalogue/match.js";
import { componentsOf } from "../data/components.js";
import { TableGraph } from "../data/graph.js";
import { type Engine, type Side, type SideTransaction, statement, type Transaction } from "../engines/engine.js";
import { DualDbError, hasCode } from "../errors.js";
import { readPostgresState, readSqliteState } from "../shadow/state.js";
import { tidyTable } from "./copy/aftermath.js";
import type { FindingCount, LeftOut } from "./copy/report.js";
import { configFor, type Engines, epochsFor, withEngine } from "./databases.js";
import { Fill } from "./import/fill.js";
import { Intake } from "./import/intake.js";
import { writeRejects } from "./import/rejects.js";
import { type ImportSource, openSource } from "./import/source.js";
import type { StageSchema } from "./import/stage.js";
import { type Counts, Tally } from "./import/tally.js";
import { knowingTimes } from "./import/times.js";
import type { ToolOptions } from "./options.js";
import { endIfAsked } from "./progress.js";
import { type Run, recordingFailure, recordRun } from "./runs.js";

/** What an import takes. */
export interface ImportOptions extends ToolOptions {
  /** The side to fill; by default the primary of a pair, else PostgreSQL where one is named, else SQLite. */
  readonly to?: Side | undefined;
  /** The folder with the files, `migration-data` by default. */
  readonly directory?: string | undefined;
  /** One JSON document with a key for each table, instead of a folder. */
  readonly file?: string | undefined;
  /** All or nothing: a row that is refused ends the import, with nothing changed. */
  readonly strict?: boolean | undefined;
  /** The file's row wins wherever it differs from the one that is there. */
  readonly overwrite?: boolean | undefined;
  /** The folder for rows that are refused, `rejects` by default. */
  readonly rejects?: string | undefined;
}

/** What an import has done. */
export interface ImportReport {
  /** The side, and the database without its password. */
  readonly target: { readonly side: Side; readonly name: string };
  /** When the export was taken, ISO 8601; null where the files do not say. */
  readonly exportedAt: string | null;
  readonly tables: readonly ImportedTable[];
  /** Tables of the files that were left out, with the reason. */
  readonly leftOut: readonly LeftOut[];
  /** The folder with the rows that were set aside; null where there are none. */
  readonly rejects: string | null;
  readonly milliseconds: number;
}

export interface ImportedTable extends Counts {
  readonly table: string;
  readonly file: string;
  readonly findings: readonly FindingCount[];
}

/** How long one statement may take on PostgreSQL, and how long it may wait for a lock of somebody else. */
const timeoutMs = 86_400_000;
const lockTimeout = "60s";

/**
 * Brings the rows of files into one side, in one transaction. Rows that are not there are inserted; one that is there is replaced only
 * where the file's is newer by the table's time of change (`updated_at` and the like), so that running it again changes nothing. All files
 * are read and checked before anything is written. In a pair it is a write like any other: into the primary, and from there to the shadow.
 * @throws EXPORT_INVALID for files that are not what they should be, NOT_PRIMARY, FILE_UNUSABLE, CONFIG_INVALID, INTERRUPTED; with
 * `strict` CONSTRAINT_VIOLATED. Nothing has been changed then.
 */
export async function importData(options: ImportOptions = {}): Promise<ImportReport> {
  const began = performance.now();
  const { directory = "migration-data", file = null, signal, tables, onProgress } = options;
  const config = configFor(options);
  const source = await openSource(
    { directory, file },
    {
      isWanted: (table) => tables === undefined || tables.includes(table),
      onRows: (table, rows, total) => onProgress?.({ step: "check", table, rows, total }),
      goOn: () => endIfAsked(signal),
    },
  );
  assertThere(source, tables);
  const side = options.to ?? (await defaultSide(config, options));
  return withEngine(side, config, options, async (engine) => {
    const isPaired = await assertPrimary(engine);
    const importing = async () => {
      const done = await importInto(engine, config, source, options);
      return { ...done, milliseconds: Math.round(performance.now() - began) };
    };
    if (!isPaired) return importing();
    if (side === "postgres") return remembered(engine, options, importing);
    if (config.postgres === null) return importing();
    return withEngine("postgres", config, options, (postgres) => remembered(postgres, options, importing));
  });
}

async function remembered(
  postgres: Engine,
  options: ImportOptions,
  importing: () => Promise<ImportReport>,
): Promise<ImportReport> {
  const beganAt = (options.clock ?? Date.now)();
  const report = await recordingFailure("import", postgres, options, importing);
  await recordRun(postgres, runOf(report, beganAt, options), options.logger);
  return report;
}

async function importInto(
  engine: Engines[Side],
  config: Config,
  source: ImportSource,
  options: ImportOptions,
): Promise<Omit<ImportReport, "milliseconds">> {
  const { side } = engine;
  const schema = side === "postgres" || config.sqlite.file === null ? "main" : "temp";
  const planned = await engine.transaction({ mode: "read", timeoutMs }, (reader) =>
    plan(side, reader, source, epochsFor(options, config)),
  );
  // Else SQLite keeps what is staged in memory, however much it is.
  if (schema === "temp") await engine.write([statement("PRAGMA temp_store = FILE")]);
  const done = await writing(engine, (into) => fill(into, planned.intakes, { ...options, schema }));
  return {
    target: { side, name: nameOf(config, side) },
    ...reportOf(source, done.tallies, options),
    leftOut: [...planned.leftOut, ...done.leftOut],
  };
}

function writing<T>(engine: Engines[Side], work: (into: SideTransaction) => Promise<T>): Promise<T> {
  const { side } = engine;
  const options = { mode: "write", timeoutMs } as const;
  if (side === "postgres") return engine.transaction(options, (transaction) => work({ side, transaction }));
  return engine.transaction(options, (transaction) => work({ side, transaction }));
}

function runOf({ tables, leftOut }: ImportReport, beganAt: number, options: ImportOptions): Run {
  const sum = (count: (table: ImportedTable) => number) => tables.reduce((total, table) => total + count(table), 0);
  const written = sum(({ inserted, replaced }) => inserted + replaced);
  const setAside = sum((table) => table.setAside);
  const kept = sum((table) => table.kept);
  return {
    command: "import",
    outcome: leftOut.length + setAside + kept === 0 ? "done" : "differs",
    beganAt,
    endedAt: (options.clock ?? Date.now)(),
    facts: { tables: options.tables ?? null, written, setAside, kept },
  };
}

function reportOf({ exportedAt }: ImportSource, tallies: readonly Tally[], options: ImportOptions) {
  return {
    exportedAt,
    tables: tallies.map(({ intake, counts, findings }) => ({
      table: intake.target.name,
      file: intake.file.path,
      ...counts,
      findings,
    })),
    rejects: tallies.some(({ aside }) => aside.size > 0) ? rejectsOf(options) : null,
  };
}

function rejectsOf({ rejects = "rejects" }: ImportOptions): string {
  return rejects;
}

function assertThere({ names }: ImportSource, wanted: readonly string[] = []): void {
  const missing = wanted.filter((name) => !names.includes(name));
  if (missing.length === 0) return;
  throw new DualDbError(
    "CONFIG_INVALID",
    `The files have no table ${missing.join(", ")}. They have ${[...names].sort().join(", ") || "none"}.`,
    { details: { tables: missing } },
  );
}

async function defaultSide(config: Config, options: ImportOptions): Promise<Side> {
  const otherwise = config.postgres === null ? "sqlite" : "postgres";
  try {
    const look = { ...options, onlyRead: true };
    return await withEngine("sqlite", config, look, async (engine) => (await primaryOf(engine)) ?? otherwise);
  } catch (error) {
    if (otherwise === "postgres" && hasCode(error, "DATABASE_UNAVAILABLE")) return otherwise;
    throw error;
  }
}

/** The primary, as that side knows it; null where it belongs to no pair. */
async function primaryOf(engine: Engine): Promise<Side | null> {
  try {
    const { pairId, primary } = await engine.transaction<{ pairId: string | null; primary: Side }>(
      { mode: "read", timeoutMs: 60_000 },
      engine.side === "sqlite" ? readSqliteState : readPostgresState,
    );
    return pairId === null ? null : primary;
  } catch (error) {
    if (hasCode(error, "SCHEMA_MISSING")) return null;
    throw error;
  }
}

/** Tells whether the database belongs to a pair. */
async function assertPrimary(engine: Engine): Promise<boolean> {
  const primary = await primaryOf(engine);
  if (primary === null || primary === engine.side) return primary !== null;
  const [here, there] = engine.side === "sqlite" ? ["SQLite", "PostgreSQL"] : ["PostgreSQL", "SQLite"];
  throw new DualDbError(
    "NOT_PRIMARY",
    `${here} follows ${there}, which is the primary of this pair: import into that with --to ${primary}, and the rows come over by themselves.`,
    { side: engine.side },
  );
}

interface Plan {
  readonly intakes: readonly Intake[];
  readonly leftOut: readonly LeftOut[];
}

/** Which file goes into which table. */
async function plan(
  side: Side,
  reader: Transaction,
  { files }: ImportSource,
  epochs: EpochChoices | undefined,
): Promise<Plan> {
  const found = await (side === "sqlite" ? discoverSqlite(reader) : discoverPostgres(reader));
  const names = matchNames(
    files.map(({ table }) => table),
    found.map(({ name }) => name),
  );
  const targets = new Map<string, DiscoveredTable>();
  for (const [given, name] of names.pairs) {
    const target = found.find((table) => table.name === name);
    if (target !== undefined) targets.set(given, target);
  }
  const intakes: Intake[] = [];
  const leftOut: LeftOut[] = [];
  for (const file of files) {
    const target = targets.get(file.table);
    if (target !== undefined) intakes.push(await knowingTimes(reader, new Intake(file, target), epochs));
    else leftOut.push({ table: file.table, reason: `${side} has no such table` });
  }
  return { intakes, leftOut };
}

interface Done {
  readonly tallies: readonly Tally[];
  readonly leftOut: readonly LeftOut[];
}

async function fill(
  into: SideTransaction,
  intakes: readonly Intake[],
  options: ImportOptions & { readonly schema: StageSchema },
): Promise<Done> {
  const { signal, onProgress, overwrite = false, schema } = options;
  if (into.side === "postgres")
    await into.transaction.script(`SET LOCAL lock_timeout = '${lockTimeout}'; SET CONSTRAINTS ALL IMMEDIATE`);
  const filling = new Fill(into, {
    overwrite,
    schema,
    onRows: (intake, rows) => {
      endIfAsked(signal);
      onProgress?.({ step: "import", table: intake.target.name, rows, total: intake.file.rows });
    },
  });
  const byTable = new Map(intakes.map((intake) => [intake.target.name, intake]));
  const tallies: Tally[] = [];
  const leftOut: LeftOut[] = [];
  for (const { tables, isCyclic } of componentsOf(new TableGraph(intakes.map((intake) => intake.target)))) {
    const members = tables.map(({ name }) => byTable.get(name)).filter((intake) => intake !== undefined);
    const full: Intake[] = [];
    for (const intake of members) if (!(await canTake(filling, intake))) full.push(intake);
    for (const { target: table } of full)
      leftOut.push({ table: table.name, reason: "it has no key, and is not empty" });
    const open = members.filter((intake) => !full.includes(intake));
    tallies.push(
      ...(await filling.component(open.filter(hasRows), isCyclic)),
      ...open.filter((i) => !hasRows(i)).map((i) => new Tally(i)),
    );
  }
  endIfAsked(signal);
  assertStrict(tallies, options);
  await writeRejects(rejectsOf(options), tallies);
  const changed = tallies.filter(({ inserted, replaced }) => inserted + replaced > 0);
  if (into.side === "postgres") for (const { intake } of changed) await tidyTable(into.transaction, intake.table);
  return { tallies, leftOut };
}

function hasRows({ file }: Intake): boolean {
  return file.rows > 0;
}

async function canTake(filling: Fill, intake: Intake): Promise<boolean> {
  return !hasRows(intake) || intake.table.key.length > 0 || filling.isEmpty(intake);
}

function assertStrict(tallies: readonly Tally[], { strict = false }: ImportOptions): void {
  const refused = tallies.find(({ aside }) => aside.size > 0);
  const [first] = refused?.aside.values() ?? [];
  if (!strict || refused === undefined || first === undefined) return;
  const table = refused.intake.target.name;
  throw new DualDbError(
    "CONSTRAINT_VIOLATED",
    `${refused.intake.file.path}: the row in line ${first.line} is refused (${[first.column, first.reason].filter(Boolean).join(": ")}). Nothing was imported, since --strict asks for all or nothing.`,
    { table, column: first.column, details: { table, line: first.line, setAside: refused.aside.size } },
  );
}

function nameOf(config: Config, side: Side): string {
  return side === "sqlite" || config.postgres === null ? targetName(config.sqlite) : targetName(config.postgres);
}
