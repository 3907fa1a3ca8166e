import { type Column, literal, quote, quotedOn } from "../../data/table.js";
import { type Side, statement, type Transaction } from "../../engines/engine.js";
import { columnNamed, type TargetTable } from "./target-table.js";

/** Columns of a table that some foreign key points to: other rows may change with them. As SQL identifiers. */
export async function columnsPointedTo(
  transaction: Transaction,
  { side, table }: TargetTable,
): Promise<ReadonlySet<string>> {
  const name = side === "sqlite" ? table.name : quotedOn(side, table);
  const rows = await transaction.query(statement(pointedToText[side](literal(name))));
  return new Set(rows.map((row) => quote(String(row.name))));
}

/**
 * What makes a row of the target let go of a unique value until it gets its new one: `column = value`, where `m` is the new row, whose
 * `number` no other row has. null where none of the columns can take another value: those of the row's key, and those that are pointed to.
 */
export function parked(
  target: TargetTable,
  columns: readonly string[],
  pointedTo: ReadonlySet<string>,
  stage: { readonly name: string; readonly number: string },
): string | null {
  const free = columns
    .map((name) => columnNamed(target, name))
    .filter((column) => column !== undefined)
    .filter((column) => !target.table.key.includes(column.name))
    .map((column) => ({ name: quotedOn(target.side, column), value: valueFor(target, column, stage) }))
    .filter(({ name, value }) => value !== null && !pointedTo.has(name));
  const chosen = free.find(({ value }) => value === "NULL") ?? free[0];
  return chosen === undefined ? null : `${chosen.name} = ${chosen.value}`;
}

function valueFor(
  { side, table }: TargetTable,
  column: Column,
  stage: { readonly name: string; readonly number: string },
): string | null {
  const isNotNull = side === "sqlite" ? (column.sqliteNotNull ?? column.notNull) : column.notNull;
  if (!isNotNull) return "NULL";
  if (column.kind !== "integer" && column.kind !== "bigint") return unheardOf[side](column);
  const highest = [quotedOn(side, table), stage.name].map(
    (place) => `COALESCE((SELECT max(${quotedOn(side, column)}) FROM ${place}), 0)`,
  );
  return `${side === "sqlite" ? "max" : "greatest"}(${highest.join(", ")}) + m.${stage.number}`;
}

/** A value that no row has; null where there is no such thing. */
const unheardOf: Readonly<Record<Side, (column: Column) => string | null>> = {
  postgres: ({ kind, type }) => {
    if (type === "uuid") return "gen_random_uuid()";
    return kind === "text" ? `gen_random_uuid()::text::${type ?? "text"}` : null;
  },
  sqlite: () => "hex(randomblob(16))",
};

const pointedToText: Readonly<Record<Side, (table: string) => string>> = {
  postgres: (table) => `SELECT a.attname AS name FROM pg_constraint AS c
    JOIN pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = ANY (c.confkey)
    WHERE c.contype = 'f' AND c.confrelid = ${table}::regclass`,
  sqlite: (table) => `
    SELECT COALESCE(f."to", (SELECT p.name FROM pragma_table_info(f."table") AS p WHERE p.pk = f.seq + 1)) AS name
    FROM pragma_table_list AS l JOIN pragma_foreign_key_list(l.name) AS f
    WHERE l.schema = 'main' AND l.type = 'table' AND lower(f."table") = lower(${table})`,
};
