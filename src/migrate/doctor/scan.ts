import type { TablePair } from "../../data/catalogue/discover.js";
import { chunks } from "../../data/chunks.js";
import { type SourceRow, toPostgres } from "../../data/conversion/convert.js";
import { isOrphaned, isTooWide, type RefusedBecause } from "../../data/refusal.js";
import { rowsOf } from "../../data/rows/rows.js";
import type { Table } from "../../data/table.js";
import type { PostgresEngine } from "../../engines/engine.js";
import type { Batch } from "../copy/batch.js";
import { timeoutMs } from "../copy/run.js";
import type { RefusedKey } from "../copy/stages.js";
import { TableSource } from "../copy/table-source.js";
import type { ToolOptions } from "../options.js";
import { endIfAsked, TableProgress } from "../progress.js";
import { rowsAbout } from "../row-estimate.js";
import { hasLargeRows, isDoubtful } from "./doubt.js";
import type { Family, Step } from "./families.js";
import type { FindingGroups } from "./groups.js";
import { whyOrphaned } from "./parents.js";
import type { Plan } from "./plan.js";
import type { Problem } from "./problem.js";
import type { Reader } from "./reading.js";
import { accepted, type Failure, type Judged, Rehearsal } from "./rehearsal.js";
import { rolledBack } from "./rolled-back.js";

/** What a scan works with. */
export interface Scanning {
  readonly reader: Reader;
  readonly postgres: PostgresEngine;
  readonly plan: Plan;
  readonly options: ToolOptions;
  readonly groups: FindingGroups;
  /** Whether this user may make temporary tables. */
  readonly rehearses: boolean;
}

/** How many rows each table has, and what could not be told of them. */
export interface Scanned {
  readonly rows: ReadonlyMap<Table, number>;
  readonly problems: readonly Problem[];
}

const rowsInABatch = 10_000;
const keysAtOnce = 500;

/**
 * Reads every row of these tables as a copy does. Where PostgreSQL may refuse one that conversion lets through, all rows of the family go
 * into one rehearsal, since what becomes of one hangs on the others.
 */
export async function scanFamily(scanning: Scanning, family: Family): Promise<Scanned> {
  return new FamilyScan(scanning, family).run();
}

/** What becomes of the rows of a batch. */
type Judge = (batch: Batch) => Promise<Judged>;

class FamilyScan {
  readonly #scanning: Scanning;
  readonly #family: Family;
  readonly #rows = new Map<Table, number>();
  readonly #problems: Problem[] = [];

  constructor(scanning: Scanning, family: Family) {
    this.#scanning = scanning;
    this.#family = family;
  }

  async run(): Promise<Scanned> {
    const { pairs, leftOut } = this.#family;
    if (await this.#isDoubtful()) {
      await rolledBack(this.#scanning.postgres, timeoutMs, async (transaction) => {
        const rehearsal = await Rehearsal.begin(transaction, pairs, this.#scanning.plan);
        for (const step of this.#family.steps) await this.#step(step, rehearsal);
      });
      for (const pair of leftOut) await this.#table(pair, null, accepted);
    } else for (const pair of pairs) await this.#table(pair, null, accepted);
    return { rows: this.#rows, problems: this.#problems };
  }

  async #isDoubtful(): Promise<boolean> {
    const { rehearses, reader } = this.#scanning;
    const { pairs } = this.#family;
    if (!rehearses || pairs.some(isDoubtful)) return rehearses;
    for (const pair of pairs) if (await hasLargeRows(reader.transaction, pair)) return true;
    return false;
  }

  async #step({ pairs, isCyclic }: Step, rehearsal: Rehearsal): Promise<void> {
    if (isCyclic) await this.#cycle(pairs, rehearsal);
    else for (const pair of pairs) await this.#table(pair, rehearsal, (batch) => rehearsal.load(pair, batch));
    for (const pair of pairs) await rehearsal.finish(pair);
    const { failure } = rehearsal;
    if (failure !== null) this.#problems.push(...pairs.map(({ table }) => untoldProblem(table, failure)));
  }

  async #cycle(pairs: readonly TablePair[], rehearsal: Rehearsal): Promise<void> {
    const cycle = await rehearsal.cycle(pairs);
    for (const pair of pairs) await this.#table(pair, null, (batch) => cycle.stage(pair, batch));
    const refused = await cycle.settle();
    for (const pair of pairs)
      await this.#takenOut(
        pair,
        refused.filter(({ table }) => table === pair.table),
      );
  }

  /** `rehearsal`: where the column can be found for which PostgreSQL refuses a row without naming it. */
  async #table(pair: TablePair, rehearsal: Rehearsal | null, judge: Judge): Promise<void> {
    const { reader, options } = this.#scanning;
    const { table } = pair;
    const total = await rowsAbout("sqlite", reader.transaction, table, () => endIfAsked(options.signal));
    const progress = new TableProgress("scan", table.name, total, options.onProgress);
    const source = await this.#sourceOf(table);
    let rows = 0;
    for await (const batch of source.batches()) {
      endIfAsked(options.signal);
      await this.#settle(pair, rehearsal, await judge(batch));
      rows += batch.read;
      progress.at(rows);
    }
    progress.end(rows);
    this.#rows.set(table, rows);
  }

  async #sourceOf(table: Table): Promise<TableSource> {
    const { transaction, isSteady } = this.#scanning.reader;
    const size = this.#scanning.options.batchSize ?? rowsInABatch;
    return isSteady ? TableSource.of(transaction, table, size) : TableSource.once(transaction, table, size);
  }

  async #settle(pair: TablePair, rehearsal: Rehearsal | null, { batch, refused, altered }: Judged): Promise<void> {
    const { groups } = this.#scanning;
    const lines = [...refused.keys()].sort((left, right) => left - right);
    const rows = await batch.rows(lines);
    const refusedKeys = new Set(pair.table.key.length === 0 ? [] : rows.map(({ key }) => key));
    for (const finding of [...batch.findings, ...altered])
      if (!refusedKeys.has(finding.key)) groups.note(pair.table, finding);
    for (const { row } of batch.refused) groups.row(pair.table, toPostgres(pair.table, row).findings);
    const orphans = new Map<string, SourceRow[]>();
    for (const [at, row] of rows.entries()) {
      const because = refused.get(lines[at] ?? -1);
      if (because === undefined) continue;
      if (isOrphaned(because)) orphans.set(because.column, [...(orphans.get(because.column) ?? []), row]);
      else this.#refuse(pair, row, await named(pair, row, because, rehearsal));
    }
    for (const [column, children] of orphans) await this.#bereft(pair, column, children);
  }

  /** Keys are all that is known of rows that cannot go beside the others of a cycle. */
  async #takenOut(pair: TablePair, refused: readonly RefusedKey[]): Promise<void> {
    for (const one of refused) if (!isOrphaned(one)) this.#refuse(pair, one, one);
    for (const part of chunks(refused.filter(isOrphaned), keysAtOnce)) {
      const columns = new Map(part.map(({ key, column }) => [key, column]));
      const rows = await rowsOf("sqlite").read(this.#scanning.reader.transaction, pair.table, [...columns.keys()]);
      for (const column of new Set(columns.values()))
        await this.#bereft(
          pair,
          column,
          rows.filter(({ key }) => columns.get(key) === column),
        );
    }
  }

  async #bereft(pair: TablePair, column: string, rows: readonly SourceRow[]): Promise<void> {
    const { transaction } = this.#scanning.reader;
    const reasons = await whyOrphaned(transaction, this.#family.pairs, pair, column, rows);
    for (const [index, row] of rows.entries()) this.#refuse(pair, row, { column, reason: reasons[index] ?? "" });
  }

  #refuse({ table }: TablePair, { key }: Pick<SourceRow, "key">, { column, reason }: RefusedBecause): void {
    this.#scanning.groups.refuse(table, { key, column, reason });
  }
}

async function named(
  pair: TablePair,
  row: SourceRow,
  because: RefusedBecause,
  rehearsal: Rehearsal | null,
): Promise<RefusedBecause> {
  if (rehearsal === null || because.column !== "" || isTooWide(because)) return because;
  return { ...because, column: await rehearsal.columnOf(pair, row) };
}

function untoldProblem(table: Table, { table: at, reason }: Failure): Problem {
  const isEnd = at === table;
  return {
    severity: isEnd ? "error" : "warning",
    side: "postgres",
    table: table.name,
    column: null,
    problem: `which of its rows PostgreSQL itself refuses could not be told: ${reason}`,
    stops: isEnd ? "copying the table, which ends there, too" : null,
    next: "What conversion refuses is listed all the same; the rest a copy sets aside when it meets it.",
  };
}
