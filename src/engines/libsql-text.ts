import type { Client, Value as DriverValue, ResultSet } from "@libsql/client";
import type { Row, Value } from "./engine.js";
import { type BoundStatement, plainValue } from "./libsql-values.js";
import { withoutEnd } from "./sql-text.js";

/** SQLite takes no more arguments for one function. */
const mostArguments = 126;

/**
 * The rows of a SELECT whose columns nobody knows. The driver ends the process at TEXT that is not UTF-8, and cuts it at a NUL: so the
 * statement is asked for its columns first, and then for its text as bytes.
 */
export async function readAnyText(client: Client, { sql, args }: BoundStatement): Promise<Row[]> {
  const select = withoutEnd(sql);
  const { columns } = await client.execute({ sql: `SELECT * FROM (\n${select}\n) LIMIT 0`, args });
  return rowsOf(columns.map(realName), await client.execute({ sql: inBytes(select, columns.length), args }));
}

/** Of two columns with one name a subquery calls the second `name:1`. */
function realName(name: string, index: number, names: readonly string[]): string {
  const [, first] = /^(.*):\d+$/s.exec(name) ?? [];
  return first !== undefined && names.slice(0, index).includes(first) ? first : name;
}

/** A letter for each column's type, in texts of so many letters, and then the columns. */
function inBytes(select: string, count: number): string {
  const names = Array.from({ length: count }, (_, index) => `c${index}`);
  const letters = names.map((name) => `substr(typeof(${name}), 1, 1)`);
  const types: string[] = [];
  for (let at = 0; at < count; at += mostArguments)
    types.push(`concat_ws('', ${letters.slice(at, at + mostArguments).join(", ")})`);
  const values = names.map((name) => `CASE typeof(${name}) WHEN 'text' THEN CAST(${name} AS BLOB) ELSE ${name} END`);
  return `WITH selected (${names.join(", ")}) AS (\n${select}\n) SELECT ${[...types, ...values].join(", ")} FROM selected`;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function rowsOf(names: readonly string[], { rows }: ResultSet): Row[] {
  const before = Math.ceil(names.length / mostArguments);
  return rows.map((cells) => {
    const row: Row = {};
    for (const [index, name] of names.entries()) {
      const letters = String(cells[Math.floor(index / mostArguments)]);
      row[name] = valueIn(cells[before + index], letters[index % mostArguments] === "t", name);
    }
    return row;
  });
}

function valueIn(value: DriverValue | undefined, isText: boolean, name: string): Value {
  return isText && value instanceof ArrayBuffer ? decoder.decode(value) : plainValue(value, name);
}
