import { type Config, postgresVariables, targetName } from "../config.js";
import {
  assertEpochs,
  type DiscoveredTable,
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
import type { Engine, Side, Transaction } from "../engines/engine.js";
import { DualDbError, hasCode } from "../errors.js";
import { configFor, epochsFor, onlyTables, openEngine } from "./databases.js";
import { type DatabaseFacts, factsOf, unreachable } from "./doctor/facts.js";
import { FindingGroups } from "./doctor/groups.js";
import { type Plan, planTables, presentTables } from "./doctor/plan.js";
import { privilegeProblems } from "./doctor/privileges.js";
import { reading } from "./doctor/reading.js";
import { findBereft, findDuplicates, findOrphans } from "./doctor/relations.js";
import { type Scan, type ScannedTable, scanRows } from "./doctor/scan.js";
import { planProblems, schemaProblems } from "./doctor/schema.js";
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

/** What the doctor takes beside the options of every tool. */
export interface DoctorOptions extends ToolOptions {
  /** Scan the rows of tables that PostgreSQL lacks, too, for those that `copy` would make of them. */
  readonly createTables?: boolean | undefined;
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
export async function doctor(options: DoctorOptions = {}): Promise<DoctorReport> {
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
  readonly #options: DoctorOptions;
  readonly #sqlite: Engine;
  readonly #postgres: Engine;
  readonly #groups = new FindingGroups();

  constructor(config: Config, options: DoctorOptions, sqlite: Engine, postgres: Engine) {
    this.#config = config;
    this.#options = options;
    this.#sqlite = sqlite;
    this.#postgres = postgres;
  }

  async run(): Promise<Omit<DoctorReport, "databases">> {
    const { pairing, plan } = await this.#pairing();
    const problems = [
      ...(await privilegeProblems(this.#config, this.#postgres, pairing)),
      ...schemaProblems(pairing, this.#options.tables !== undefined),
      ...planProblems(pairing, plan),
    ];
    const tables = await this.#scan(pairing, plan);
    const findings = this.#groups.all();
    const healthy = findings.length === 0 && problems.every(({ severity }) => severity === "note");
    return { healthy, problems, tables, findings };
  }

  /** Parents first: a row does not arrive whose parent does not. */
  #scan({ pairs }: Pairing, { planned, statementsFor }: Plan): Promise<ScannedTable[]> {
    const graph = new TableGraph(pairs.map(({ table }) => table));
    return this.#reading(async (transaction) => {
      const rows = new Map<Table, number>();
      const scanOf = (pair: TablePair): Scan => ({
        pair,
        transaction,
        postgres: this.#postgres,
        options: this.#options,
        groups: this.#groups,
        making: statementsFor(pair.postgres.name),
      });
      for (const { tables, isCyclic } of componentsOf(graph)) {
        const scans = pairs.filter(({ table }) => tables.includes(table)).map(scanOf);
        for (const scan of scans) rows.set(scan.pair.table, await scanRows(scan));
        await (isCyclic ? findInCycle(scans, graph) : findAlone(scans, graph));
      }
      return pairs.map(({ table, postgres }) => ({
        table: table.name,
        rows: rows.get(table) ?? 0,
        refused: this.#groups.refusedRows(table),
        planned: planned.has(postgres.name),
      }));
    });
  }

  async #pairing(): Promise<{ readonly pairing: Pairing; readonly plan: Plan }> {
    const left = await this.#sqlite.transaction({ mode: "read" }, discoverSqlite);
    const right = await this.#postgres.transaction({ mode: "read", timeoutMs: catalogueTimeoutMs }, discoverPostgres);
    const plan = await this.#plan(left, right);
    const all = pairTables(left, plan.tables);
    const epochs = epochsFor(this.#options, this.#config);
    assertEpochs(epochs, all);
    const paired = onlyTables(all, this.#options.tables);
    const pairing = await this.#reading((reader) => surveyPairing(reader, paired, epochs));
    return { pairing, plan };
  }

  #reading<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return reading(this.#sqlite, this.#config, work);
  }

  /** Without the right to make tables there is no telling, and that is among the problems. */
  async #plan(sqlite: readonly DiscoveredTable[], postgres: readonly DiscoveredTable[]): Promise<Plan> {
    const { createTables = false, tables } = this.#options;
    if (!createTables) return presentTables(postgres);
    try {
      return await this.#reading((reader) => planTables(reader, this.#postgres, { sqlite, postgres }, tables));
    } catch (error) {
      if (hasCode(error, "ACCESS_DENIED")) return presentTables(postgres);
      throw error;
    }
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
