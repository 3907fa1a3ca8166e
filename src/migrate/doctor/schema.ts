import { tracking } from "../../data/catalogue/catalogue.js";
import type { Index, MissingColumn, Pairing, TablePair } from "../../data/catalogue/discover.js";
import { typeOfColumn } from "../../data/catalogue/postgres-type.js";
import { type Column, nameOn } from "../../data/table.js";
import type { Side } from "../../engines/engine.js";
import { lackedChecks, lackedNotNulls } from "./lacked-checks.js";
import type { Plan } from "./plan.js";
import type { Problem } from "./problem.js";

const label: Record<Side, string> = { sqlite: "SQLite", postgres: "PostgreSQL" };

/** How the schemas differ. `chosen`: the tables were named, so that those of PostgreSQL alone are nobody's business. */
export function schemaProblems(pairing: Pairing, { planned }: Plan, chosen: boolean): Problem[] {
  return [
    ...pairing.unmirrored.map(({ table, reason }) => unmirrored(pairing, table, reason)),
    ...strangers(pairing),
    ...pairing.pairs.flatMap(({ missing }) => missing).map(missingColumn),
    ...pairing.generated.map(({ side, table, column }) =>
      note(side, table, column, "the database computes this column", "It is not carried."),
    ),
    ...(chosen
      ? []
      : pairing.postgresOnly.map((table) =>
          note("sqlite", table, null, "only PostgreSQL has this table", "It is left alone."),
        )),
    ...pairing.pairs.flatMap((pair) => [...narrower(pair), ...lackedConstraints(pair), ...lackedIndexes(pair)]),
    // What a table that is to be made leaves out is among the notes of its plan.
    ...pairing.pairs
      .filter(({ postgres }) => !planned.has(postgres.name))
      .flatMap((pair) => [...lackedNotNulls(pair), ...lackedChecks(pair)]),
  ];
}

function unmirrored({ pairs, uncarried }: Pairing, table: string, reason: string): Problem {
  const isThere = pairs.some((pair) => pair.table.name === table);
  const about = { table, column: null };
  if (uncarried.some((other) => other.table === table))
    return {
      ...about,
      severity: "error",
      side: "sqlite",
      problem: reason,
      stops: "copying and mirroring the table",
      next: "Keep its rows in an ordinary table, and have it index that; or name the other tables with --tables.",
    };
  if (isThere)
    return {
      ...about,
      severity: "warning",
      side: "sqlite",
      problem: reason,
      stops: "mirroring the table",
      next: "Give it a primary key on both sides; until then it can only be copied, into an empty table.",
    };
  return {
    ...about,
    severity: "error",
    side: "postgres",
    problem: `${reason}: its rows were not scanned`,
    stops: "copying and mirroring the table",
    next: 'Run "npx dualdb migrate" for the package\'s tables; make your own by "npx dualdb copy --create-tables", in a pair by a migration. "npx dualdb doctor --create-tables" scans their rows before.',
  };
}

function missingColumn({ side, table, column }: MissingColumn): Problem {
  return {
    severity: "error",
    side,
    table,
    column,
    problem: "the column is missing",
    stops: side === "postgres" ? "copying and mirroring the table" : "mirroring the table",
    next: `Add it to ${label[side]}'s table, as the other side has it.`,
  };
}

/** Tables that no application has made, and those of other tools that one might take for the package's. */
function strangers({ uncarried, pairs, unmirrored: alone, postgresOnly }: Pairing): Problem[] {
  const left = uncarried.filter(({ holdsRows }) => !holdsRows);
  const names = [...pairs.map(({ sqlite }) => sqlite.name), ...alone.map(({ table }) => table), ...postgresOnly];
  const next = `It is carried like any other. "npx dualdb migrate", which keeps a table of that name, is refused as long as it is there.`;
  return [
    ...left.map(({ table, reason }) => note("sqlite", table, null, reason, "Nothing of yours is in it.")),
    ...(names.includes(tracking.table)
      ? [note("sqlite", tracking.table, null, "another tool remembers its migrations there", next)]
      : []),
  ];
}

/** What there is to know of tables that are to be made. */
export function planProblems({ pairs }: Pairing, { planned, notes }: Plan): Problem[] {
  const made = pairs.filter(({ postgres }) => planned.has(postgres.name)).map(({ table }) => table.name);
  const next = '"npx dualdb copy --create-tables" makes it so; a migration of yours can do otherwise.';
  return [
    ...made.map((table) => note("postgres", table, null, "the table is not there yet", next)),
    ...notes.map(({ table, column, text, refused }) => ({
      ...note("postgres", table, column, text, next),
      severity: refused === true ? ("warning" as const) : ("note" as const),
    })),
  ];
}

/** Columns that hold less than SQLite's may: the scan tells whether a row needs more. */
function narrower({ table }: TablePair): Problem[] {
  return table.columns.flatMap((column) =>
    limitsOf(column).map((limit) =>
      note("postgres", table.name, column.name, limit, "Rows that do not fit are among the findings."),
    ),
  );
}

const narrowTypes: Readonly<Record<string, string>> = {
  smallint: "holds 16 bits, SQLite 64",
  integer: "holds 32 bits, SQLite 64",
  real: "holds 4 bytes, SQLite 8",
};

function limitsOf(column: Column): string[] {
  const size = sizeOf(column);
  const isStricter = column.notNull && column.sqliteNotNull === false;
  return [...(size === undefined ? [] : [size]), ...(isStricter ? ["is NOT NULL, in SQLite it is not"] : [])];
}

function sizeOf(column: Column): string | undefined {
  const { name, limits } = typeOfColumn(column);
  const [first, second = 0] = limits;
  if (first === undefined) return narrowTypes[name];
  if (name === "numeric") return `holds ${first} digits, ${second} of them behind the point`;
  if (name !== "character varying" && name !== "character") return undefined;
  return column.sqliteType?.includes(`(${first})`) === true
    ? undefined
    : `holds ${first} characters, SQLite any number`;
}

function lackedConstraints({ table, sqlite, postgres }: TablePair): Problem[] {
  const toSqlite = new Map(table.columns.map((column) => [nameOn("postgres", column), column.name]));
  const translated = (names: readonly string[]) => names.map((name) => toSqlite.get(name) ?? name);
  const mine = alike([...sqlite.keys, ...sqlite.uniques]);
  const others = alike([...postgres.keys, ...postgres.uniques].map(translated));
  const unique = (side: Side, names: string) => lacks(side, table.name, `the unique key (${names})`);
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
  const foreign = (side: Side, names: string) => lacks(side, table.name, `the foreign key on (${names})`);
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
      const next = "Queries that use it would read the whole table: create it.";
      return [{ ...note("postgres", table.name, null, what, next), severity: "warning" as const }];
    });
}

/** Empty where an expression is among them. */
function plainColumns({ columns }: Index): string[] {
  const names = columns.map(({ column }) => column);
  return names.includes(null) ? [] : (names as string[]);
}

function startsWith(columns: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every((name, index) => columns[index] === name);
}

/** A constraint that one side alone has. */
export function lacks(side: Side, table: string, what: string): Problem {
  return {
    severity: "warning",
    side,
    table,
    column: null,
    problem: `lacks ${what}`,
    stops: null,
    next: "Rows that only this side takes would be refused by the other.",
  };
}

function note(side: Side, table: string, column: string | null, text: string, next: string): Problem {
  return { severity: "note", side, table, column, problem: text, stops: null, next };
}
