import { chunks } from "../../data/chunks.js";
import { componentsOf } from "../../data/components.js";
import { converterOf, type SourceRow } from "../../data/conversion/convert.js";
import { OwnInput, type OwnTexts } from "../../data/conversion/own-input.js";
import type { Finding } from "../../data/finding.js";
import { refusedForSize } from "../../data/refusal.js";
import { encodeRow } from "../../data/rows/copy-text.js";
import { rowsOf } from "../../data/rows/rows.js";
import { exactRowsOf } from "../../data/rows/sqlite-pages.js";
import { quotedOn, type Table } from "../../data/table.js";
import { type ExactValue, type Side, statement, type Transaction } from "../../engines/engine.js";
import { type Entry, Journal, type Refusal } from "../../shadow/journal.js";
import { assertForward, Mirror, type PassResult } from "../../shadow/mirror.js";
import { assertSameCatalogues, cataloguesOf, lockPostgresState, readSqliteState } from "../../shadow/state.js";
import { tablesIn } from "../databases.js";
import { tidyInPostgres } from "./aftermath.js";
import { Lines } from "./lines.js";
import { type Loaded, PostgresLoad } from "./postgres-load.js";
import type { CopiedTable } from "./report.js";
import { type CopyRun, TableRun, targetIn, timeoutMs } from "./run.js";
import { StrictPair } from "./strict-pair.js";

/** Rows of one pass: as long as it lasts, no other pass of any process goes on. */
const rowsInAPass = 5_000;
/** Reading holds up the event loop, and so does taking entries off. */
const rowsAtOnce = 500;

/**
 * A pair: what the journal of the primary owes, under the mirror's lock, so that no older row ever comes over a newer one. Many rows at a
 * time where that is possible; whatever those passes leave behind, and what is gone from the source, is left to the mirror itself.
 */
export async function copyInPair(run: CopyRun, from: Side, tables: readonly Table[]): Promise<CopiedTable[]> {
  if (run.rejects === null) return new StrictPair(run, from).copy(tables);
  const copied: CopiedTable[] = [];
  for (const { tables: together, isCyclic } of componentsOf(run.scene.graph)) {
    for (const table of together.filter((one) => tables.includes(one))) {
      const one = new TableRun(run, table, await owed(run, from, table));
      try {
        if (from === "sqlite" && !isCyclic) await new BulkPasses(run, one).run();
        await new MirrorPasses(run, one, from).run();
        if (from === "sqlite") one.tally.stuck(await tidyInPostgres(run.databases, table, one.tally.written > 0));
        copied.push(await one.finish());
      } finally {
        await one.close();
      }
    }
  }
  return copied;
}

async function owed({ databases }: CopyRun, from: Side, { name }: Table): Promise<number> {
  const text = "SELECT COUNT(*) AS n FROM dualdb_journal WHERE table_name = ";
  const [row] = await databases[from].read({ sql: `${text}?`, text: `${text}$1`, values: [name] });
  return Number(row?.n);
}

/** What one pass has read under the lock. */
interface Held {
  readonly entries: readonly Entry[];
  /** The entries whose rows go over, their rows, and those as lines. */
  readonly going: readonly Entry[];
  readonly lines: Lines;
  readonly findings: readonly Finding[];
  /** What of each line PostgreSQL's own input has to understand. */
  readonly ownTexts: readonly (OwnTexts | null)[];
}

/** Passes of many rows from SQLite to PostgreSQL. A row that is gone or that cannot go is passed over: its entry stays. */
class BulkPasses {
  readonly #run: CopyRun;
  readonly #one: TableRun;
  readonly #load: PostgresLoad;
  readonly #journal = new Journal("sqlite");

  constructor(run: CopyRun, one: TableRun) {
    this.#run = run;
    this.#one = one;
    this.#load = new PostgresLoad(targetIn(run, one.table, "postgres"));
  }

  async run(): Promise<void> {
    const { postgres } = this.#run.databases;
    for (let after: Entry | null = null; ; ) {
      this.#one.step();
      const passed: Passed | null = await postgres.transaction({ mode: "write", timeoutMs }, async (target) => {
        const held = await this.#read(await lockPostgresState(target), after);
        if (held.entries.length === 0) return null;
        const isEmpty = await this.#isEmpty(target);
        const loaded = await this.#load.run(target, held.lines, isEmpty ? "insert" : "merge");
        return { held, loaded, altered: await this.#altered(target, held, loaded) };
      });
      if (passed === null) return;
      await this.#acknowledge(passed);
      after = passed.held.entries.at(-1) ?? null;
    }
  }

  async #isEmpty(target: Transaction): Promise<boolean> {
    const text = `SELECT NOT EXISTS (SELECT 1 FROM ${quotedOn("postgres", this.#one.table)}) AS empty`;
    return (await target.query(statement(text)))[0]?.empty === true;
  }

  #read(state: Awaited<ReturnType<typeof lockPostgresState>>, after: Entry | null): Promise<Held> {
    const { table } = this.#one;
    const limit = this.#run.options.batchSize ?? rowsInAPass;
    return this.#run.databases.sqlite.transaction({ mode: "read" }, async (source) => {
      const states = { sqlite: await readSqliteState(source), postgres: state };
      assertForward(states);
      assertSameCatalogues(tablesIn(this.#run.scene).catalogues, cataloguesOf(states));
      const entries = await this.#journal.select(source, { after, limit, quarantined: false, table: table.name });
      const rows = new Map<string, SourceRow>();
      for (const part of chunks(entries, rowsAtOnce)) {
        const keys = part.filter(({ bytes }) => bytes === undefined).map(({ key }) => key);
        for (const row of await rowsOf("sqlite").read(source, table, keys)) rows.set(row.key, row);
      }
      return held(table, entries, rows);
    });
  }

  async #altered(target: Transaction, { ownTexts }: Held, { refused }: Loaded): Promise<Finding[]> {
    const taken = ownTexts.filter((_, index) => !refused.has(index));
    return (await new OwnInput(this.#one.table).findings(target, taken)).flat();
  }

  async #acknowledge({ held, loaded, altered }: Passed): Promise<void> {
    const { tally } = this.#one;
    const handled = held.going.filter((_, index) => !loaded.refused.has(index));
    tally.read += handled.length;
    tally.written += loaded.written;
    tally.alreadyThere += handled.length - loaded.written;
    this.#one.note([...held.findings, ...altered]);
    await this.#run.databases.sqlite.transaction({ mode: "write" }, async (source) => {
      for (const statement of this.#journal.removals(handled)) await source.execute(statement);
    });
  }
}

interface Passed {
  readonly held: Held;
  readonly loaded: Loaded;
  readonly altered: readonly Finding[];
}

function held(table: Table, entries: readonly Entry[], rows: ReadonlyMap<string, SourceRow>): Held {
  const convert = converterOf(table, "postgres");
  const going: Entry[] = [];
  const lines = new Lines();
  const findings: Finding[] = [];
  const own = new OwnInput(table);
  const ownTexts: (OwnTexts | null)[] = [];
  for (const entry of entries) {
    const row = rows.get(entry.key);
    if (row === undefined) continue;
    const converted = convert(row);
    if (converted.findings.some(({ action }) => action === "refused")) continue;
    going.push(entry);
    lines.add(encodeRow(converted.values));
    findings.push(...converted.findings);
    ownTexts.push(own.textsOf(converted));
  }
  lines.flush();
  return { entries, going, lines, findings, ownTexts };
}

/** The mirror's own passes over the entries of one table, from the first to the last, those in quarantine included. */
class MirrorPasses {
  readonly #run: CopyRun;
  readonly #one: TableRun;
  readonly #from: Side;
  readonly #mirror: Mirror;

  constructor(run: CopyRun, one: TableRun, from: Side) {
    const { sqlite, postgres } = run.databases;
    this.#run = run;
    this.#one = one;
    this.#from = from;
    const tables = tablesIn(run.scene);
    this.#mirror = new Mirror({ sqlite, postgres, ...tables, timeoutMs, reached: () => undefined });
  }

  async run(): Promise<void> {
    const { name } = this.#one.table;
    for (let after: Entry | null = null; ; ) {
      this.#one.step();
      const result: PassResult = await this.#mirror.next(this.#from, after, true, name);
      await this.#account(result);
      after = result.last;
      if (!result.more) return;
    }
  }

  async #account({ moved, refusals, findings }: PassResult): Promise<void> {
    const { tally } = this.#one;
    const before = tally.setAside;
    this.#one.note(findings.filter(({ action }) => action !== "refused"));
    await this.#one.setAside(await this.#rejected(refusals));
    tally.written += moved;
    tally.read += moved + tally.setAside - before;
  }

  async #rejected(refusals: readonly Refusal[]): Promise<{ row: SourceRow; finding: Finding }[]> {
    const { table } = this.#one;
    const known = new Map(refusals.map((refusal) => [refusal.entry.key, refusal]));
    const entries = refusals.map(({ entry }) => entry);
    const keys = entries.filter(({ bytes }) => bytes === undefined).map(({ key }) => key);
    const broken = entries.map(({ bytes }) => bytes).filter((bytes) => bytes !== undefined);
    const read = (transaction: Transaction) =>
      this.#from === "sqlite"
        ? exactRowsOf(transaction, table, keys, broken)
        : rowsOf("postgres").read(transaction, table, keys);
    const rows = await this.#run.databases[this.#from].transaction({ mode: "read" }, read);
    return rows.map((row) => ({ row, finding: refused(table, row, known.get(row.key)) }));
  }
}

function refused(table: Table, row: SourceRow, refusal: Refusal | undefined): Finding {
  const sizes = new Map(table.columns.map(({ name }, index) => [name, sizeOf(row.values[index] ?? null)]));
  const because = refusedForSize(refusal ?? unknown, (column) => sizes.get(column) ?? 0);
  return { table: table.name, key: row.key, column: because.column, reason: because.reason, action: "refused" };
}

const unknown = { column: "", reason: "" };

function sizeOf(value: ExactValue): number {
  return typeof value === "string" || value instanceof Uint8Array ? value.length : 0;
}
