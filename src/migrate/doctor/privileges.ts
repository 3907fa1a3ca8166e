import sql from "sql-template-tag";
import type { Config } from "../../config.js";
import { groupedBy } from "../../data/catalogue/catalogue.js";
import type { Pairing } from "../../data/catalogue/discover.js";
import { nameOn } from "../../data/table.js";
import type { Engine } from "../../engines/engine.js";
import type { Problem } from "../doctor.js";

const onTables = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRIGGER"] as const;

/** What PostgreSQL does not let its user do, and the mirror or the toolkit has to. */
export async function privilegeProblems(
  { postgres: config }: Config,
  postgres: Engine,
  pairing: Pairing,
): Promise<Problem[]> {
  const user = config?.user ?? "";
  const [row] = await postgres.read(sql`SELECT has_schema_privilege(current_schema(), 'CREATE') AS creates,
    has_database_privilege(current_database(), 'TEMPORARY') AS temporary, current_schema() AS schema`);
  const problems: Problem[] = [];
  if (row?.creates !== 1)
    problems.push(
      lacking("error", null, `CREATE on schema ${row?.schema}`, `GRANT CREATE ON SCHEMA ${row?.schema} TO ${user}`),
    );
  if (row?.temporary !== 1)
    problems.push(
      lacking(
        "warning",
        null,
        "TEMPORARY on the database",
        `GRANT TEMPORARY ON DATABASE ${config?.database} TO ${user}`,
      ),
    );
  for (const { table, privileges } of await tablePrivileges(postgres, pairing)) {
    const list = privileges.join(", ");
    problems.push(lacking("error", table, list, `GRANT ${list} ON ${table} TO ${user}`));
  }
  return problems;
}

function lacking(severity: Problem["severity"], table: string | null, what: string, next: string): Problem {
  return {
    severity,
    side: "postgres",
    table,
    column: null,
    problem: `the user lacks ${what}`,
    next: `As its owner: ${next};`,
  };
}

async function tablePrivileges(
  postgres: Engine,
  { pairs }: Pairing,
): Promise<{ readonly table: string; readonly privileges: readonly string[] }[]> {
  const names = pairs.map(({ table }) => nameOn("postgres", table));
  const rows = await postgres.read(sql`SELECT c.relname AS name, p.privilege FROM pg_class AS c
    CROSS JOIN unnest(${onTables}::text[]) WITH ORDINALITY AS p (privilege, position)
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY (${names}::text[])
      AND NOT has_table_privilege(c.oid, p.privilege) ORDER BY c.relname, p.position`);
  return groupedBy(rows, ({ name }) => String(name)).map((lacked) => ({
    table: String(lacked[0]?.name),
    privileges: lacked.map(({ privilege }) => String(privilege)),
  }));
}
