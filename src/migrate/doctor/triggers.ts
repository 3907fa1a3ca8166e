import sql, { raw } from "sql-template-tag";
import type { Pairing } from "../../data/catalogue/discover.js";
import { ownSchema } from "../../data/catalogue/own-schema.js";
import { nameOn, quote, quotedOn } from "../../data/table.js";
import type { Engine } from "../../engines/engine.js";
import type { Problem } from "./problem.js";

/** Triggers of the application that run for each row that a copy brings: they may do anything, and a rehearsal is not to do it. */
export async function triggerProblems(postgres: Engine, { pairs }: Pairing): Promise<Problem[]> {
  const tables = new Map(pairs.map(({ table }) => [nameOn("postgres", table), table]));
  const rows = await postgres.read(sql`SELECT DISTINCT t.relname AS name, g.tgname AS trigger
    FROM pg_class AS t CROSS JOIN LATERAL (SELECT t.oid AS relid UNION SELECT l.relid FROM pg_partition_tree(t.oid) AS l) AS l
      JOIN pg_trigger AS g ON g.tgrelid = l.relid AND NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgenabled IN ('O', 'A') AND g.tgtype & 4 <> 0
      JOIN pg_proc AS f ON f.oid = g.tgfoid AND NOT starts_with(f.proname, 'dualdb_')
    WHERE t.relnamespace = ${raw(ownSchema)} AND t.relname = ANY (${[...tables.keys()]}::text[])
    ORDER BY name, trigger`);
  return rows.flatMap(({ name, trigger }) => {
    const table = tables.get(String(name));
    if (table === undefined) return [];
    const disable = `ALTER TABLE ${quotedOn("postgres", table)} DISABLE TRIGGER ${quote(String(trigger))}`;
    return [
      {
        severity: "warning" as const,
        side: "postgres" as const,
        table: table.name,
        column: null,
        problem: `whether its trigger ${trigger} lets rows through as they are could not be told: the doctor runs no trigger of yours`,
        stops: null,
        next: `A copy runs it for every row: look at what it does, or ${disable} until the rows are there.`,
      },
    ];
  });
}
