import { type Config, postgresVariables, targetName } from "../config.js";
import {
  assertEpochs,
  type DiscoveredTable,
  discoverPostgres,
  discoverSqlite,
  type Pairing,
  pairTables,
  surveyPairing,
  uncarriedTables,
} from "../data/catalogue/discover.js";
import type { Finding } from "../data/finding.js";
import type { Table } from "../data/table.js";
import type { Engine, PostgresEngine, Side } from "../engines/engine.js";
import { DualDbError, hasCode } from "../errors.js";
import { configFor, type Engines, epochsFor, onlyTables, openEngine } from "./databases.js";
import { type DatabaseFacts, factsOf, unreachable } from "./doctor/facts.js";
import { familiesOf } from "./doctor/families.js";
import { FindingGroups } from "./doctor/groups.js";
import { type Plan, planTables, presentTables } from "./doctor/plan.js";
import { privilegesOf } from "./doctor/privileges.js";
import type { Problem } from "./doctor/problem.js";
import { type Reader, reading } from "./doctor/reading.js";
import { scanFamily } from "./doctor/scan.js";
import { planProblems, schemaProblems } from "./doctor/schema.js";
import { triggerProblems } from "./doctor/triggers.js";
import type { ToolOptions } from "./options.js";

export type { Problem } from "./doctor/problem.js";

/** One table's rows. */
export interface ScannedTable {
  readonly table: string;
  readonly rows: number;
  /** How many of them would not arrive, as far as that can be told. */
  readonly refused: number;
  /** Whether PostgreSQL lacks the table, so that they were scanned for the one that would be made. */
  readonly planned: boolean;
}

/** Findings of one kind: the same table, column, reason and action. */
export interface FindingGroup extends Omit<Finding, "key"> {
  /** How many rows. */
  readonly count: number;
  /** The first keys, at most ten, as the journal spells them; none where the table has no key. */
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
interface Reached<S extends Side> {
  readonly facts: DatabaseFacts;
  readonly engine: Engines[S] | null;
}

async function reach<S extends Side>(side: S, config: Config, options: ToolOptions): Promise<Reached<S>> {
  const target = side === "postgres" && config.postgres !== null ? config.postgres : config.sqlite;
  let engine: Engines[S] | null = null;
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
  readonly #postgres: PostgresEngine;
  readonly #groups = new FindingGroups();

  constructor(config: Config, options: DoctorOptions, sqlite: Engine, postgres: PostgresEngine) {
    this.#config = config;
    this.#options = options;
    this.#sqlite = sqlite;
    this.#postgres = postgres;
  }

  async run(): Promise<Omit<DoctorReport, "databases">> {
    const { pairing, plan } = await this.#pairing();
    const { rehearses, problems: privileges } = await privilegesOf(this.#postgres, pairing);
    const before = [
      ...privileges,
      ...schemaProblems(pairing, plan, this.#options.tables !== undefined),
      ...planProblems(pairing, plan),
      ...(await triggerProblems(this.#postgres, pairing)),
    ];
    const scanned = await this.#scan(pairing, plan, rehearses);
    const problems = [...before, ...scanned.problems];
    const findings = this.#groups.all();
    const healthy = findings.length === 0 && problems.every(({ severity }) => severity === "note");
    return { healthy, problems, tables: scanned.tables, findings };
  }

  #scan({ pairs }: Pairing, plan: Plan, rehearses: boolean): Promise<Pick<DoctorReport, "problems" | "tables">> {
    const [postgres, options, groups] = [this.#postgres, this.#options, this.#groups];
    return this.#reading(async (reader) => {
      const rows = new Map<Table, number>();
      const problems: Problem[] = [];
      for (const family of familiesOf(pairs)) {
        const scanned = await scanFamily({ reader, postgres, plan, options, groups, rehearses }, family);
        for (const [table, count] of scanned.rows) rows.set(table, count);
        problems.push(...scanned.problems);
      }
      const tables = pairs.map(({ table, postgres: { name } }) => ({
        table: table.name,
        rows: rows.get(table) ?? 0,
        refused: groups.refusedRows(table),
        planned: plan.planned.has(name),
      }));
      return { problems, tables };
    });
  }

  async #pairing(): Promise<{ readonly pairing: Pairing; readonly plan: Plan }> {
    const left = await this.#sqlite.transaction({ mode: "read" }, discoverSqlite);
    const uncarried = await this.#sqlite.transaction({ mode: "read" }, uncarriedTables);
    const right = await this.#postgres.transaction({ mode: "read", timeoutMs: catalogueTimeoutMs }, discoverPostgres);
    const plan = await this.#plan(left, right);
    const all = pairTables(left, plan.tables, uncarried);
    const epochs = epochsFor(this.#options, this.#config);
    assertEpochs(epochs, all);
    const paired = onlyTables(all, this.#options.tables);
    const pairing = await this.#reading(({ transaction }) => surveyPairing(transaction, paired, epochs));
    return { pairing, plan };
  }

  #reading<T>(work: (reader: Reader) => Promise<T>): Promise<T> {
    return reading(this.#sqlite, this.#config, work);
  }

  /** Without the right to make tables there is no telling, and that is among the problems. */
  async #plan(sqlite: readonly DiscoveredTable[], postgres: readonly DiscoveredTable[]): Promise<Plan> {
    const { createTables = false, tables } = this.#options;
    if (!createTables) return presentTables(postgres);
    try {
      return await this.#reading(({ transaction }) =>
        planTables(transaction, this.#postgres, { sqlite, postgres }, tables),
      );
    } catch (error) {
      if (hasCode(error, "ACCESS_DENIED")) return presentTables(postgres);
      throw error;
    }
  }
}
