import { type Config, targetName } from "../config.js";
import { type DiscoveredTable, discoverPostgres, discoverSqlite, uncarriedTables } from "../data/catalogue/discover.js";
import { everyRow } from "../data/rows/every-row.js";
import { rowToJson } from "../data/rows/exact-json.js";
import { type Engine, type Side, statement, type Transaction } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import type { LeftOut } from "./copy/report.js";
import { configFor, withEngine } from "./databases.js";
import { type FileFacts, RowFile } from "./export-file.js";
import { ExportFolder } from "./export-folder.js";
import { type ExportedTable, type Manifest, packageVersion } from "./manifest.js";
import type { ToolOptions } from "./options.js";
import { primaryOf } from "./primary.js";
import { fileOfTable } from "./private-files.js";
import { endIfAsked, TableProgress } from "./progress.js";
import { rowsAbout } from "./row-estimate.js";

/** What an export takes. */
export interface ExportOptions extends ToolOptions {
  /** The side to read; by default the primary of a pair, else SQLite. */
  readonly from?: Side | undefined;
  /** The folder to fill, `migration-data` by default. It is empty, or holds an earlier export, which is replaced. */
  readonly directory?: string | undefined;
}

/** What an export has written. */
export interface ExportReport {
  readonly directory: string;
  /** ISO 8601, when the snapshot was taken. */
  readonly exportedAt: string;
  /** The side, and the database without its password. */
  readonly source: { readonly side: Side; readonly name: string };
  /** Rows and bytes of the files, and their SHA-256 in hexadecimal. */
  readonly tables: readonly ({ readonly table: string; readonly file: string } & FileFacts)[];
  /** Tables whose rows are in no file, with the reason. */
  readonly leftOut: readonly LeftOut[];
}

/** How long one statement, and the writing of one page, may take on PostgreSQL. */
const timeoutMs = 600_000;

/**
 * Writes every row of one side into a folder, `<table>.jsonl` with one row a line, and `_metadata.json` with what the files must hold. All
 * tables are of one snapshot, and every value can be had back to the bit. Only that side's database is needed. An export that ends
 * early leaves nothing that could be taken for one; the one from before stays until the new one is whole.
 * @throws CONFIG_INVALID for a table that is not there, or a folder that holds something else. FILE_UNUSABLE. INTERRUPTED.
 */
export async function exportData(options: ExportOptions = {}): Promise<ExportReport> {
  const config = configFor(options);
  const side = options.from ?? (await defaultSide(config, options));
  return withEngine(side, config, { ...options, onlyRead: true }, async (engine) => {
    const folder = await ExportFolder.open(options.directory ?? "migration-data");
    try {
      return await new Export(engine, folder, options).run(nameOf(config, side));
    } catch (error) {
      await folder.giveUp().catch(() => undefined);
      throw error;
    }
  });
}

/** The primary of a pair, as SQLite knows it. */
function defaultSide(config: Config, options: ToolOptions): Promise<Side> {
  const look = { ...options, onlyRead: true };
  return withEngine("sqlite", config, look, async (engine) => (await primaryOf(engine)) ?? "sqlite");
}

function nameOf(config: Config, side: Side): string {
  return side === "sqlite" || config.postgres === null ? targetName(config.sqlite) : targetName(config.postgres);
}

class Export {
  readonly #engine: Engine;
  readonly #folder: ExportFolder;
  readonly #options: ExportOptions;

  constructor(engine: Engine, folder: ExportFolder, options: ExportOptions) {
    this.#engine = engine;
    this.#folder = folder;
    this.#options = options;
  }

  async run(name: string): Promise<ExportReport> {
    const { side } = this.#engine;
    const exportedAt = new Date((this.#options.clock ?? Date.now)()).toISOString();
    const written = await this.#engine.transaction({ mode: "read", timeoutMs }, (snapshot) => this.#tables(snapshot));
    const source = { side, name, versions: { dualdb: packageVersion(), database: written.version } };
    const tables = written.tables.map(({ exported }) => exported);
    endIfAsked(this.#options.signal);
    await this.#folder.finish({ version: 1, exportedAt, source, tables } satisfies Manifest);
    return {
      directory: this.#folder.path,
      exportedAt,
      source: { side, name },
      tables: written.tables.map(({ exported: { name: table, file }, facts }) => ({ table, file, ...facts })),
      leftOut: written.leftOut,
    };
  }

  async #tables(snapshot: Transaction): Promise<Written> {
    const { side } = this.#engine;
    const version = await versionOf(side, snapshot);
    const found = await (side === "sqlite" ? discoverSqlite(snapshot) : discoverPostgres(snapshot));
    const tables: WrittenTable[] = [];
    for (const table of wantedOf(side, found, this.#options.tables)) tables.push(await this.#table(snapshot, table));
    const uncarried = side === "sqlite" && this.#options.tables === undefined ? await uncarriedTables(snapshot) : [];
    const leftOut = uncarried.filter(({ holdsRows }) => holdsRows).map(({ table, reason }) => ({ table, reason }));
    return { version, tables, leftOut };
  }

  async #table(snapshot: Transaction, table: DiscoveredTable): Promise<WrittenTable> {
    const { name, columns, key } = table;
    const file = fileOfTable("", name, ".jsonl");
    const facts = await this.#write(snapshot, table, this.#folder.partOf(file));
    const exported = {
      name,
      file,
      rows: facts.rows,
      columns: columns.map(({ name, kind, type, sqliteType }) => ({ name, kind, type: type ?? sqliteType ?? "" })),
      key,
      sha256: facts.sha256,
    };
    return { exported, facts };
  }

  async #write(snapshot: Transaction, table: DiscoveredTable, path: string): Promise<FileFacts> {
    const { side } = this.#engine;
    const { signal, onProgress } = this.#options;
    const total = await rowsAbout(side, snapshot, table, () => endIfAsked(signal));
    const progress = new TableProgress("export", table.name, total, onProgress);
    const file = await RowFile.open(path);
    try {
      for await (const page of everyRow(side, snapshot, table)) {
        endIfAsked(signal);
        for (const row of page) await file.add(JSON.stringify(rowToJson(table, row)));
        progress.at(file.rows);
      }
      progress.end(file.rows);
      return await file.finish();
    } finally {
      await file.close();
    }
  }
}

interface Written {
  readonly version: string;
  readonly tables: readonly WrittenTable[];
  readonly leftOut: readonly LeftOut[];
}

interface WrittenTable {
  readonly exported: ExportedTable;
  readonly facts: FileFacts;
}

function wantedOf(
  side: Side,
  found: readonly DiscoveredTable[],
  names: readonly string[] | undefined,
): readonly DiscoveredTable[] {
  if (names === undefined) return found;
  const known = new Map(found.map((table) => [table.name, table]));
  const missing = names.filter((name) => !known.has(name));
  if (missing.length === 0) return found.filter(({ name }) => names.includes(name));
  throw new DualDbError(
    "CONFIG_INVALID",
    `${side} has no table ${missing.join(", ")}. It has ${[...known.keys()].sort().join(", ") || "none"}.`,
    { side, details: { tables: missing } },
  );
}

async function versionOf(side: Side, transaction: Transaction): Promise<string> {
  const text = side === "sqlite" ? "SELECT sqlite_version() AS version" : "SELECT version() AS version";
  const [row] = await transaction.query(statement(text));
  return String(row?.version);
}
