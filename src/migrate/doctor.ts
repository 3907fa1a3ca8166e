import { type Config, postgresVariables, targetName } from "../config.js";
import {
  discoverPostgres,
  discoverSqlite,
  type Pairing,
  pairTables,
  surveyPairing,
  type TablePair,
} from "../data/catalogue/discover.js";
import { componentsOf } from "../data/components.js";
import type { Finding } from "../data/finding.js";
import { TableGraph } from "../data/graph.js";
import type { Table } from "../data/table.js";
import type { Engine, Side } from "../engines/engine.js";
import { DualDbError, hasCode } from "../errors.js";
import { configFor, onlyTables, openEngine } from "./databases.js";
import { type DatabaseFacts, factsOf, unreachable } from "./doctor/facts.js";
import { FindingGroups } from "./doctor/groups.js";
import { privilegeProblems } from "./doctor/privileges.js";
import { reading } from "./doctor/reading.js";
import { findBereft, findDuplicates, findOrphans } from "./doctor/relations.js";
import { type Scan, type ScannedTable, scanRows } from "./doctor/scan.js";
import { schemaProblems } from "./doctor/schema.js";
import type { ToolOptions } from "./options.js";

/** Something about a database, and not about a row, that stands in the way or will be missed. */
export interface Problem {
  /** `error`: something cannot be carried until it is mended. `warning`: it can, but look. `note`: worth knowing. */
  readonly severity: "error" | "warning" | "note";
  readonly side: Side;
  /** null where it is about the whole database. */
  readonly table: string | null;
  readonly column: string | null;
  readonly problem: string;
  /** What to do about it. */
  readonly next: string;
}

/** Findings of one kind: the same table, column, reason and action. */
export interface FindingGroup extends Omit<Finding, "key"> {
  /** How many rows. */
  readonly count: number;
  /** The first keys, at most ten, as the journal spells them. */
  readonly keys: readonly string[];
}

export interface DoctorReport {
  /** Every row would arrive as it is: no finding, no error, no warning. null where a database could not be looked at. */
  readonly healthy: boolean | null;
  readonly databases: readonly DatabaseFacts[];
  readonly problems: readonly Problem[];
  readonly tables: readonly ScannedTable[];
  readonly findings: readonly FindingGroup[];
}

const catalogueTimeoutMs = 60_000;

/**
 * Looks at both databases before anything moves: whether they can be reached and used, how their schemas differ, and every value of
 * SQLite that PostgreSQL would get altered, wrapped or not at all. Changes nothing.
 * @throws CONFIG_INVALID, INTERRUPTED. A database that cannot be reached is part of the report.
 */
export async function doctor(options: ToolOptions = {}): Promise<DoctorReport> {
  const config = configFor(options);
  if (config.postgres === null)
    throw new DualDbError("CONFIG_INVALID", `No PostgreSQL is named: set ${postgresVariables}, or give --pg.`);
  const reached = [await reach("sqlite", config, options), await reach("postgres", config, options)] as const;
  try {
    const [sqlite, postgres] = reached;
    const databases = reached.map(({ facts }) => facts);
    if (sqlite.engine === null || postgres.engine === null)
      return { healthy: null, databases, problems: [], tables: [], findings: [] };
    const report = await new Examination(config, options, sqlite.engine, postgres.engine).run();
    return { ...report, databases, problems: [...databases.flatMap(({ problems }) => problems), ...report.problems] };
  } finally {
    for (const { engine } of reached) await engine?.close();
  }
}

/** A database that answers, and what it says of itself; without an engine, why it does not. */
interface Reached {
  readonly facts: DatabaseFacts;
  readonly engine: Engine | null;
}

async function reach(side: Side, config: Config, options: ToolOptions): Promise<Reached> {
  const target = side === "postgres" && config.postgres !== null ? config.postgres : config.sqlite;
  let engine: Engine | null = null;
  try {
    engine = await openEngine(side, config, { ...options, onlyRead: true });
    return { facts: await factsOf(engine, config), engine };
  } catch (error) {
    await engine?.close();
    if (!(error instanceof DualDbError) || hasCode(error, "INTERRUPTED")) throw error;
    return { facts: unreachable(side, targetName(target), error), engine: null };
  }
}

class Examination {
  readonly #config: Config;
  readonly #options: ToolOptions;
  readonly #sqlite: Engine;
  readonly #postgres: Engine;
  readonly #groups = new FindingGroups();

  constructor(config: Config, options: ToolOptions, sqlite: Engine, postgres: Engine) {
    this.#config = config;
    this.#options = options;
    this.#sqlite = sqlite;
    this.#postgres = postgres;
  }

  async run(): Promise<Omit<DoctorReport, "databases">> {
    const pairing = await this.#pairing();
    const problems = [
      ...(await privilegeProblems(this.#config, this.#postgres, pairing)),
      ...schemaProblems(pairing, this.#options.tables !== undefined),
    ];
    const tables = await this.#scan(pairing);
    const findings = this.#groups.all();
    const healthy = findings.length === 0 && problems.every(({ severity }) => severity === "note");
    return { healthy, problems, tables, findings };
  }

  /** Parents first: a row does not arrive whose parent does not. */
  #scan({ pairs }: Pairing): Promise<ScannedTable[]> {
    const graph = new TableGraph(pairs.map(({ table }) => table));
    return reading(this.#sqlite, this.#config, async (transaction) => {
      const rows = new Map<Table, number>();
      const scanOf = (pair: TablePair): Scan => {
        return { pair, transaction, postgres: this.#postgres, options: this.#options, groups: this.#groups };
      };
      for (const { tables, isCyclic } of componentsOf(graph)) {
        const scans = pairs.filter(({ table }) => tables.includes(table)).map(scanOf);
        for (const scan of scans) rows.set(scan.pair.table, await scanRows(scan));
        await (isCyclic ? findInCycle(scans, graph) : findAlone(scans, graph));
      }
      return pairs.map(({ table }) => {
        return { table: table.name, rows: rows.get(table) ?? 0, refused: this.#groups.refusedRows(table) };
      });
    });
  }

  async #pairing(): Promise<Pairing> {
    const left = await this.#sqlite.transaction({ mode: "read" }, discoverSqlite);
    const right = await this.#postgres.transaction({ mode: "read", timeoutMs: catalogueTimeoutMs }, discoverPostgres);
    const paired = onlyTables(pairTables(left, right), this.#options.tables);
    return this.#sqlite.transaction({ mode: "read" }, (reader) => surveyPairing(reader, paired, this.#options.epochs));
  }
}

/** An orphan leaves its unique value to another row. */
async function findAlone(scans: readonly Scan[], graph: TableGraph): Promise<void> {
  for (const scan of scans) {
    await findOrphans(scan, graph);
    await findBereft(scan, graph);
    await findDuplicates(scan);
  }
}

/** The rows of a cycle come together, so that their parents are looked at last; and each that goes may take others along. */
async function findInCycle(scans: readonly Scan[], graph: TableGraph): Promise<void> {
  for (const scan of scans) await findDuplicates(scan);
  for (const scan of scans) await findOrphans(scan, graph);
  for (let isAny = true; isAny; ) {
    isAny = false;
    for (const scan of scans) isAny = (await findBereft(scan, graph)) || isAny;
  }
}
