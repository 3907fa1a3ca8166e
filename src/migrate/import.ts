import { type Config, targetName } from "../config.js";
import { type Engine, type Side, type SideTransaction, statement } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import { configFor, type Engines, epochsFor, withEngine } from "./databases.js";
import { planOf } from "./import/plan.js";
import { type ImportReport, importedTable, runOf } from "./import/report.js";
import { assertPrimary, defaultSide } from "./import/side.js";
import { type ImportSource, openSource } from "./import/source.js";
import type { StageSchema } from "./import/stage.js";
import { fillTables } from "./import/tables.js";
import type { ToolOptions } from "./options.js";
import { endIfAsked } from "./progress.js";
import { recordingFailure, recordRun } from "./runs.js";

export type { ImportedTable, ImportReport } from "./import/report.js";

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

/** How long one statement may take on PostgreSQL. */
const timeoutMs = 86_400_000;

/**
 * Brings the rows of files into one side, in one transaction. Rows that are not there are inserted; one that is there is replaced only
 * where the file's is newer by the table's time of change (`updated_at` and the like), so that running it again changes nothing. All files
 * are read and checked before anything is written. In a pair it is a write like any other: into the primary, and from there to the shadow.
 * @throws EXPORT_INVALID for files that are not what they should be, NOT_PRIMARY, FILE_UNUSABLE, CONFIG_INVALID, INTERRUPTED; with
 * `strict` CONSTRAINT_VIOLATED. Nothing has been changed then.
 */
export async function importData(options: ImportOptions = {}): Promise<ImportReport> {
  const began = performance.now();
  const config = configFor(options);
  const source = await checked(options);
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

/** The files, all of them read once. */
async function checked(options: ImportOptions): Promise<ImportSource> {
  const { directory = "migration-data", file = null, signal, tables, onProgress } = options;
  const source = await openSource(
    { directory, file },
    {
      isWanted: (table) => tables === undefined || tables.includes(table),
      onRows: (table, rows, total, bytes) =>
        onProgress?.({ step: "check", table, rows, total, ...(bytes === undefined ? {} : { bytes }) }),
      goOn: () => endIfAsked(signal),
    },
  );
  assertThere(source, tables);
  return source;
}

async function remembered(
  postgres: Engine,
  options: ImportOptions,
  importing: () => Promise<ImportReport>,
): Promise<ImportReport> {
  const { tables, clock = Date.now, logger } = options;
  const beganAt = clock();
  const report = await recordingFailure("import", postgres, options, importing);
  await recordRun(postgres, runOf(report, { tables, beganAt, endedAt: clock() }), logger);
  return report;
}

async function importInto(
  engine: Engines[Side],
  config: Config,
  source: ImportSource,
  options: ImportOptions,
): Promise<Omit<ImportReport, "milliseconds">> {
  const { side } = engine;
  const { strict = false, overwrite = false, rejects = "rejects", signal, onProgress } = options;
  const schema: StageSchema = side === "postgres" || config.sqlite.file === null ? "main" : "temp";
  const planned = await engine.transaction({ mode: "read", timeoutMs }, (reader) =>
    planOf(side, reader, source, epochsFor(options, config)),
  );
  // Else SQLite keeps what is staged in memory, however much it is.
  if (schema === "temp") await engine.write([statement("PRAGMA temp_store = FILE")]);
  const { tallies, leftOut } = await writing(engine, (into) =>
    fillTables(into, planned.intakes, {
      strict,
      overwrite,
      rejects,
      schema,
      goOn: () => endIfAsked(signal),
      onRows: ({ target: { name: table }, file }, rows) => {
        endIfAsked(signal);
        onProgress?.({ step: "import", table, rows, total: file.rows });
      },
    }),
  );
  return {
    target: { side, name: nameOf(config, side) },
    exportedAt: source.exportedAt,
    tables: tallies.map(importedTable),
    leftOut: [...planned.leftOut, ...leftOut],
    rejects: tallies.some(({ aside }) => aside.size > 0) ? rejects : null,
  };
}

function writing<T>(engine: Engines[Side], work: (into: SideTransaction) => Promise<T>): Promise<T> {
  const { side } = engine;
  const options = { mode: "write", timeoutMs } as const;
  if (side === "postgres") return engine.transaction(options, (transaction) => work({ side, transaction }));
  return engine.transaction(options, (transaction) => work({ side, transaction }));
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

function nameOf(config: Config, side: Side): string {
  return side === "sqlite" || config.postgres === null ? targetName(config.sqlite) : targetName(config.postgres);
}
