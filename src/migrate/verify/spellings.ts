import { type SourceRow, toPostgres } from "../../data/conversion/convert.js";
import { type Column, columnOf, type Table } from "../../data/table.js";
import { type Engine, type ExactValue, statement } from "../../engines/engine.js";
import { hasCode } from "../../errors.js";
import type { Seen } from "./look.js";

/** The rows of one look, by their keys. */
export interface Both {
  readonly sqlite: ReadonlyMap<string, SourceRow>;
  readonly postgres: ReadonlyMap<string, SourceRow>;
}

interface Doubt {
  readonly key: string;
  readonly mine: ExactValue;
  readonly other: ExactValue;
}

/**
 * Lets PostgreSQL judge what only it can: whether what it makes of SQLite's text of an address, an interval or an array is what it has. Rows
 * that differ in nothing else are equal.
 */
export async function withSpellings(
  postgres: Engine,
  table: Table,
  both: Both,
  seen: ReadonlyMap<string, Seen>,
  timeoutMs: number,
): Promise<Map<string, Seen>> {
  const judged = new Map(seen);
  for (const column of table.columns.filter(({ kind }) => kind === "other")) {
    const doubts = doubtsOf(table, column, both, judged);
    const same = doubts.length === 0 ? new Set<string>() : await sameIn(postgres, column, doubts, timeoutMs);
    for (const key of same) judged.set(key, without(column.name, judged.get(key) as Seen));
  }
  return judged;
}

function doubtsOf(table: Table, { name }: Column, both: Both, seen: ReadonlyMap<string, Seen>): Doubt[] {
  const at = table.columns.indexOf(columnOf(table, name));
  return [...seen].flatMap(([key, { verdict }]) => {
    const mine = both.sqlite.get(key);
    const other = both.postgres.get(key);
    if (verdict.kind !== "different" || !verdict.columns.includes(name) || mine === undefined || other === undefined)
      return [];
    const { values } = toPostgres(table, mine);
    return [{ key, mine: values[at] ?? null, other: other.values[at] ?? null }];
  });
}

/** The keys of those that are the same; where PostgreSQL cannot read one of many, each by itself. */
async function sameIn(
  postgres: Engine,
  column: Column,
  doubts: readonly Doubt[],
  timeoutMs: number,
): Promise<Set<string>> {
  try {
    return new Set(await ask(postgres, column, doubts, timeoutMs));
  } catch (error) {
    if (!hasCode(error, "VALUE_REFUSED", "QUERY_FAILED")) throw error;
    if (doubts.length <= 1) return new Set();
    const middle = Math.ceil(doubts.length / 2);
    const first = await sameIn(postgres, column, doubts.slice(0, middle), timeoutMs);
    return new Set([...first, ...(await sameIn(postgres, column, doubts.slice(middle), timeoutMs))]);
  }
}

async function ask(postgres: Engine, column: Column, doubts: readonly Doubt[], timeoutMs: number): Promise<string[]> {
  // Through the type's input, limits and all: a cast would cut what does not fit to what may be there.
  const type = column.type ?? "text";
  const text = `SELECT r.n FROM json_to_recordset($1::json) AS r (n int, mine ${type}, other ${type}) WHERE r.mine::text = r.other::text`;
  const document = JSON.stringify(
    doubts.map(({ mine, other }, n) => ({ n, mine: textOf(mine), other: textOf(other) })),
  );
  const rows = await postgres.transaction({ mode: "read", timeoutMs }, (reader) =>
    reader.query(statement(text, [document])),
  );
  return rows.flatMap(({ n }) => doubts[Number(n)]?.key ?? []);
}

function textOf(value: ExactValue): string | null {
  return value === null ? null : String(value);
}

function without(name: string, { verdict, certain, print }: Seen): Seen {
  if (verdict.kind !== "different") return { verdict, certain, print };
  const columns = verdict.columns.filter((column) => column !== name);
  return columns.length === 0
    ? { verdict: { kind: "equal" }, certain: true, print: "" }
    : { verdict: { kind: "different", columns }, certain, print };
}
