import sql, { raw } from "sql-template-tag";
import { groupedBy } from "../../data/catalogue/catalogue.js";
import type { Pairing } from "../../data/catalogue/discover.js";
import { ownSchema } from "../../data/catalogue/own-schema.js";
import { nameOn, type Table } from "../../data/table.js";
import type { Engine, Row } from "../../engines/engine.js";
import { type Counter, columnCounted, countersOf } from "../../shadow/counters.js";
import { underRowSecurity, withoutRowSecurity } from "../row-security.js";
import type { Problem } from "./problem.js";

const onTables = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRIGGER"] as const;
const timeoutMs = 60_000;

/** What PostgreSQL lets its user do. */
export interface Privileges {
  /** What it does not, and the mirror or the toolkit has to. */
  readonly problems: readonly Problem[];
  /** Whether rows can be tried in temporary tables. */
  readonly rehearses: boolean;
}

export async function privilegesOf(postgres: Engine, { pairs }: Pairing): Promise<Privileges> {
  const tables = pairs.map(({ table }) => table);
  const [row] = await postgres.read(sql`SELECT has_schema_privilege(current_schema(), 'CREATE') AS creates,
    has_database_privilege(current_database(), 'TEMPORARY') AS temporary, quote_ident(current_schema()) AS schema,
    quote_ident(current_database()) AS database, quote_ident(current_user) AS user`);
  const user = String(row?.user);
  const counters = await postgres.transaction({ mode: "read", timeoutMs }, (reader) => countersOf(reader, tables));
  const problems = [
    ...databaseProblems(row ?? {}, user),
    ...(await tableProblems(postgres, tables, user)),
    ...counters.filter(({ lacking }) => lacking.length > 0).map((counter) => counterProblem(counter, user)),
    ...(await underRowSecurity(postgres, tables)).map(rowSecurityProblem),
  ];
  return { problems, rehearses: row?.temporary === 1 };
}

function databaseProblems({ creates, temporary, schema, database }: Row, user: string): Problem[] {
  const creating = lacking(null, `CREATE on schema ${schema}`, `GRANT CREATE ON SCHEMA ${schema} TO ${user}`);
  const trying = "TEMPORARY on the database, so that rows of which only PostgreSQL can tell were not tried";
  const temporal = lacking(null, trying, `GRANT TEMPORARY ON DATABASE ${database} TO ${user}`);
  return [
    ...(creates === 1 ? [] : [{ ...creating, stops: "making tables: migrate, and copy --create-tables" }]),
    ...(temporary === 1
      ? []
      : [{ ...temporal, stops: "a copy into a table that has rows, and one of rows without their parents" }]),
  ];
}

async function tableProblems(postgres: Engine, tables: readonly Table[], user: string): Promise<Problem[]> {
  const byName = new Map(tables.map((table) => [nameOn("postgres", table), table]));
  const rows =
    await postgres.read(sql`SELECT c.relname AS name, quote_ident(c.relname) AS quoted, p.privilege FROM pg_class AS c
    CROSS JOIN unnest(${onTables}::text[]) WITH ORDINALITY AS p (privilege, position)
    WHERE c.relnamespace = ${raw(ownSchema)} AND c.relname = ANY (${[...byName.keys()]}::text[])
      AND NOT has_table_privilege(c.oid, p.privilege) ORDER BY c.relname, p.position`);
  return groupedBy(rows, ({ name }) => String(name)).flatMap((lacked) => {
    const table = byName.get(String(lacked[0]?.name));
    const list = lacked.map(({ privilege }) => String(privilege)).join(", ");
    const stops = list === "TRIGGER" ? "migrate, which mirrors the table" : "copying and mirroring the table";
    if (table === undefined) return [];
    return [{ ...lacking(table.name, list, `GRANT ${list} ON ${lacked[0]?.quoted} TO ${user}`), stops }];
  });
}

function counterProblem(counter: Counter, user: string): Problem {
  const { table, sequence, lacking: list } = counter;
  const privileges = list.join(", ");
  const grant = `GRANT ${privileges} ON SEQUENCE ${sequence} TO ${user}`;
  return {
    ...lacking(table.name, `${privileges} on ${sequence}, its sequence`, grant),
    severity: "warning",
    column: columnCounted(counter),
  };
}

function rowSecurityProblem(table: Table): Problem {
  return {
    severity: "error",
    side: "postgres",
    table: table.name,
    column: null,
    problem: "row-level security holds for this user: it may not see every row, and no COPY is taken",
    stops: "copying the table, and comparing it",
    next: withoutRowSecurity,
  };
}

function lacking(table: string | null, what: string, grant: string): Problem {
  return {
    severity: "error",
    side: "postgres",
    table,
    column: null,
    problem: `the user lacks ${what}`,
    stops: null,
    next: `As its owner: ${grant};`,
  };
}
