import type { DiscoveredTable, Index, Pairing, TablePair } from "../../data/catalogue/discover.js";
import { typeOfColumn } from "../../data/catalogue/postgres-type.js";
import { type Column, nameOn } from "../../data/table.js";
import type { Side } from "../../engines/engine.js";
import type { Problem } from "../doctor.js";
import type { Plan } from "./plan.js";

const label: Record<Side, string> = { sqlite: "SQLite", postgres: "PostgreSQL" };

/** How the schemas differ. `chosen`: the tables were named, so that those of PostgreSQL alone are nobody's business. */
export function schemaProblems(pairing: Pairing, chosen: boolean): Problem[] {
  return [
    ...pairing.unmirrored.map(({ table, reason }) => unmirrored(pairing, table, reason)),
    ...pairing.missing.map(({ side, table, column }) =>
      problem(
        "error",
        side,
        table,
        column,
        "the column is missing",
        `Add it to ${label[side]}'s table, as the other side has it.`,
      ),
    ),
    ...pairing.generated.map(({ side, table, column }) =>
      problem("note", side, table, column, "the database computes this column", "It is not carried."),
    ),
    ...(chosen
      ? []
      : pairing.postgresOnly.map((table) =>
          problem("note", "sqlite", table, null, "only PostgreSQL has this table", "It is left alone."),
        )),
    ...pairing.pairs.flatMap((pair) => [...narrower(pair), ...lackedConstraints(pair), ...lackedIndexes(pair)]),
  ];
}

function unmirrored({ pairs }: Pairing, table: string, reason: string): Problem {
  const isThere = pairs.some((pair) => pair.table.name === table);
  const next = isThere
    ? "Give it a primary key on both sides; until then it can only be copied, into an empty table."
    : 'Run "npx dualdb migrate" for the package\'s tables; make your own by "npx dualdb copy --create-tables", in a pair by a migration. "npx dualdb doctor --create-tables" scans their rows before.';
  if (isThere) return problem("warning", "sqlite", table, null, reason, next);
  return problem("error", "postgres", table, null, `${reason}: its rows were not scanned`, next);
}

/** What there is to know of tables that are to be made. */
export function planProblems({ pairs }: Pairing, { planned, notes }: Plan): Problem[] {
  const made = pairs.filter(({ postgres }) => planned.has(postgres.name)).map(({ table }) => table.name);
  const next = '"npx dualdb copy --create-tables" makes it so; a migration of yours can do otherwise.';
  return [
    ...made.map((table) => problem("note", "postgres", table, null, "the table is not there yet", next)),
    ...notes.map(({ table, column, text, refused }) =>
      problem(refused ? "warning" : "note", "postgres", table, column, text, next),
    ),
  ];
}

/** Columns that hold less than SQLite's may: the scan tells whether a row needs more. */
function narrower({ table }: TablePair): Problem[] {
  return table.columns.flatMap((column) => {
    const limit = limitOf(column);
    return limit === null
      ? []
      : [problem("note", "postgres", table.name, column.name, limit, "Rows that do not fit are among the findings.")];
  });
}

function limitOf(column: Column): string | null {
  const { name, limits } = typeOfColumn(column);
  const declared = column.sqliteType ?? "";
  if (name === "smallint") return "holds 16 bits, SQLite 64";
  if (name === "real") return "holds 4 bytes, SQLite 8";
  if (
    (name === "character varying" || name === "character") &&
    limits[0] !== undefined &&
    !declared.includes(`(${limits[0]})`)
  )
    return `holds ${limits[0]} characters, SQLite any number`;
  if (name === "numeric" && limits.length > 0)
    return `holds ${limits[0]} digits, ${limits[1] ?? 0} of them behind the point`;
  return column.notNull && column.sqliteNotNull === false ? "is NOT NULL, in SQLite it is not" : null;
}

function lackedConstraints({ table, sqlite, postgres }: TablePair): Problem[] {
  const toSqlite = new Map(table.columns.map((column) => [nameOn("postgres", column), column.name]));
  const translated = (names: readonly string[]) => names.map((name) => toSqlite.get(name) ?? name);
  const mine = alike([...sqlite.keys, ...sqlite.uniques]);
  const others = alike([...postgres.keys, ...postgres.uniques].map(translated));
  const unique = (side: Side, names: string) =>
    problem(
      "warning",
      side,
      table.name,
      null,
      `lacks the unique key (${names})`,
      "Rows that only this side takes would be refused by the other.",
    );
  return [
    ...others.filter((names) => !mine.includes(names)).map((names) => unique("sqlite", names)),
    ...mine.filter((names) => !others.includes(names)).map((names) => unique("postgres", names)),
    ...lackedForeignKeys({ table, sqlite, postgres }, translated),
  ];
}

/** The same columns under several constraints or indexes are one key. */
function alike(sets: readonly (readonly string[])[]): string[] {
  return [...new Set(sets.map(spelled))];
}

function spelled(names: readonly string[]): string {
  return [...new Set(names)].sort().join(", ");
}

function lackedForeignKeys(
  { table, sqlite, postgres }: Pick<TablePair, "table" | "sqlite" | "postgres">,
  translated: (names: readonly string[]) => string[],
): Problem[] {
  const mine = alike(sqlite.foreignKeys.map(({ columns }) => columns));
  const others = alike(postgres.foreignKeys.map(({ columns }) => translated(columns)));
  const foreign = (side: Side, names: string) =>
    problem(
      "warning",
      side,
      table.name,
      null,
      `lacks the foreign key on (${names})`,
      "Rows that only this side takes would be refused by the other.",
    );
  return [
    ...others.filter((names) => !mine.includes(names)).map((names) => foreign("sqlite", names)),
    ...mine.filter((names) => !others.includes(names)).map((names) => foreign("postgres", names)),
  ];
}

/** Indexes that queries on SQLite may count on, beside those of unique keys. One over the same first columns will do. */
function lackedIndexes({ table, sqlite, postgres }: TablePair): Problem[] {
  const names = new Map(table.columns.map((column) => [column.name, nameOn("postgres", column)]));
  const there = postgres.indexes.map(plainColumns);
  return sqlite.indexes
    .filter(({ constraint, unique, partial }) => !constraint && !unique && !partial)
    .flatMap((index) => {
      const wanted = plainColumns(index).map((name) => names.get(name) ?? name);
      if (wanted.length === 0 || there.some((columns) => startsWith(columns, wanted))) return [];
      const what = `lacks an index on (${wanted.join(", ")}), as SQLite's ${index.name}`;
      return [
        problem(
          "warning",
          "postgres",
          table.name,
          null,
          what,
          "Queries that use it would read the whole table: create it.",
        ),
      ];
    });
}

/** Empty where an expression is among them. */
function plainColumns({ columns }: DiscoveredTable["indexes"][number] | Index): string[] {
  const names = columns.map(({ column }) => column);
  return names.includes(null) ? [] : (names as string[]);
}

function startsWith(columns: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every((name, index) => columns[index] === name);
}

function problem(
  severity: Problem["severity"],
  side: Side,
  table: string,
  column: string | null,
  text: string,
  next: string,
): Problem {
  return { severity, side, table, column, problem: text, next };
}
