import { createHash } from "node:crypto";
import type { SourceRow } from "../../data/conversion/convert.js";
import { postgresSpelling } from "../../data/rows/ordered-rows.js";
import { rowsOf } from "../../data/rows/rows.js";
import type { Table } from "../../data/table.js";
import type { Engine, Side, Transaction } from "../../engines/engine.js";
import { DualDbError } from "../../errors.js";
import { type Entry, Journal, quarantineAfter } from "../../shadow/journal.js";
import { lockPostgresState, type PairState, readSqliteState } from "../../shadow/state.js";
import { type Both, withSpellings } from "./spellings.js";
import { type Verdict, verdictOf } from "./verdict.js";

/** What one look at a row has seen. */
export interface Seen {
  readonly verdict: Verdict;
  /** Whether this is the last word; else the row is to be looked at again. */
  readonly certain: boolean;
  /** The same as of another look where nothing has changed between the two. */
  readonly print: string;
}

/** Looks at rows of both sides. `before`: what the look before has seen of each, where there was one. */
export interface Look {
  /** Whose rows count. */
  readonly from: Side;
  /** How long a row is left alone before it is looked at again, at first, in milliseconds. */
  readonly pauseMs: number;
  at(table: Table, keys: readonly string[], before: ReadonlyMap<string, string>): Promise<Map<string, Seen>>;
}

/** Databases that nobody writes to: one look is enough. */
export class LookAtRest implements Look {
  readonly from: Side;
  readonly pauseMs: number = 0;
  readonly #sqlite: Engine;
  readonly #postgres: Engine;
  readonly #timeoutMs: number;

  constructor(from: Side, sqlite: Engine, postgres: Engine, timeoutMs: number) {
    this.from = from;
    this.#sqlite = sqlite;
    this.#postgres = postgres;
    this.#timeoutMs = timeoutMs;
  }

  async at(table: Table, keys: readonly string[]): Promise<Map<string, Seen>> {
    const both = await this.both(table, keys);
    const seen = seenOf(keys, (key) => {
      const verdict = verdictOf(table, this.from, both.sqlite.get(key), both.postgres.get(key));
      return { verdict, certain: true, print: "" };
    });
    return this.judged(table, both, seen);
  }

  protected judged(table: Table, both: Both, seen: ReadonlyMap<string, Seen>): Promise<Map<string, Seen>> {
    return withSpellings(this.#postgres, table, both, seen, this.#timeoutMs);
  }

  /** Not as of one moment. */
  protected async both(table: Table, keys: readonly string[]): Promise<Both> {
    const postgres = await this.#postgres.transaction({ mode: "read", timeoutMs: this.#timeoutMs }, (transaction) =>
      postgresRows(transaction, table, keys),
    );
    const sqlite = await this.#sqlite.transaction({ mode: "read" }, (transaction) =>
      rowsOf("sqlite").read(transaction, table, keys),
    );
    return { sqlite: byKey(sqlite), postgres: byKey(postgres) };
  }
}

/**
 * Databases that are no pair: somebody may be writing to them, or copying, and what two looks see in the same way is so. Between them lies
 * more time than an application needs that writes a row to the one and then to the other.
 */
export class LookTwice extends LookAtRest {
  override readonly pauseMs = 250;

  override async at(
    table: Table,
    keys: readonly string[],
    before: ReadonlyMap<string, string> = new Map(),
  ): Promise<Map<string, Seen>> {
    const both = await this.both(table, keys);
    const seen = seenOf(keys, (key) => {
      const rows = [both.sqlite.get(key), both.postgres.get(key)] as const;
      const verdict = verdictOf(table, this.from, ...rows);
      const print = printOf(verdict, rows);
      return {
        verdict,
        certain: verdict.kind === "equal" || verdict.kind === "gone" || before.get(key) === print,
        print,
      };
    });
    return this.judged(table, both, seen);
  }
}

/**
 * A pair: under the mirror's lock nobody else carries rows over, so that a row without an entry in the journal has to be the same on both
 * sides. One with an entry is owed, which says nothing.
 */
export class LockedLook implements Look {
  readonly from: Side;
  readonly pauseMs = 50;
  readonly #states: PairState;
  readonly #sqlite: Engine;
  readonly #postgres: Engine;
  readonly #timeoutMs: number;
  readonly #journals = { sqlite: new Journal("sqlite"), postgres: new Journal("postgres") };

  constructor(from: Side, states: PairState, sqlite: Engine, postgres: Engine, timeoutMs: number) {
    this.from = from;
    this.#states = states;
    this.#sqlite = sqlite;
    this.#postgres = postgres;
    this.#timeoutMs = timeoutMs;
  }

  async at(table: Table, keys: readonly string[]): Promise<Map<string, Seen>> {
    const wanted = keys.map((key) => ({ table: table.name, key }));
    const found = await this.#postgres.transaction({ mode: "write", timeoutMs: this.#timeoutMs }, async (right) => {
      const state = await lockPostgresState(right);
      // The rows before the entries: a write between the two looks then shows in the entries.
      const postgres = byKey(await postgresRows(right, table, keys));
      const owedBack = await this.#journals.postgres.select(right, { keys: wanted });
      return this.#sqlite.transaction({ mode: "read" }, async (left) => {
        this.#assertUnmoved({ sqlite: await readSqliteState(left), postgres: state });
        const sqlite = byKey(await rowsOf("sqlite").read(left, table, keys));
        const entries = [...owedBack, ...(await this.#journals.sqlite.select(left, { keys: wanted }))];
        return { both: { sqlite, postgres }, entries: new Map(entries.map((entry) => [entry.key, entry])) };
      });
    });
    const seen = seenOf(keys, (key) => this.#seen(table, key, found.both, found.entries.get(key)));
    return withSpellings(this.#postgres, table, found.both, seen, this.#timeoutMs);
  }

  #seen(table: Table, key: string, both: Both, entry: Entry | undefined): Seen {
    const verdict = verdictOf(table, this.from, both.sqlite.get(key), both.postgres.get(key));
    if (entry === undefined || isSettled(verdict)) return { verdict, certain: true, print: "" };
    if (entry.attempts > 0) {
      const reason = entry.lastError ?? "the other side has refused it";
      // It may be taken yet, as long as it is tried: the row that was in its way may be gone.
      const certain = entry.attempts >= quarantineAfter;
      return { verdict: { kind: "refused", column: null, reason }, certain, print: "" };
    }
    return { verdict: { kind: "owed" }, certain: false, print: "" };
  }

  #assertUnmoved({ sqlite, postgres }: PairState): void {
    const before = this.#states;
    const moved = sqlite.primary !== before.sqlite.primary || postgres.primary !== before.postgres.primary;
    if (!moved && sqlite.pairId === before.sqlite.pairId) return;
    throw new DualDbError("NOT_PRIMARY", "The primary has moved while the databases were compared: run it again.");
  }
}

/** An entry in the journal changes nothing about these. */
function isSettled({ kind }: Verdict): boolean {
  return kind === "equal" || kind === "gone" || kind === "refused";
}

async function postgresRows(transaction: Transaction, table: Table, keys: readonly string[]): Promise<SourceRow[]> {
  await transaction.script(postgresSpelling);
  return rowsOf("postgres").read(transaction, table, keys);
}

function byKey(rows: readonly SourceRow[]): Map<string, SourceRow> {
  return new Map(rows.map((row) => [row.key, row]));
}

function seenOf(keys: readonly string[], see: (key: string) => Seen): Map<string, Seen> {
  return new Map(keys.map((key) => [key, see(key)]));
}

function printOf(verdict: Verdict, rows: readonly (SourceRow | undefined)[]): string {
  const hash = createHash("sha256").update(JSON.stringify(verdict));
  for (const row of rows) for (const value of row?.values ?? [null]) hash.update(`${typeof value}:${String(value)}\0`);
  return hash.digest("base64");
}
