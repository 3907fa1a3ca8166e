import type { Pairing } from "../../data/catalogue/discover.js";
import type { Engine } from "../../engines/engine.js";
import { hasCode } from "../../errors.js";
import { checkMigrations } from "../../schema/migrations.js";
import { amiss, fine, type Judge, type Judgement, untold } from "./check.js";
import { answers, type SeenSide, type Sight, sideNames, stateIn } from "./sight.js";

/** How the two databases stand to each other, whatever rows they hold. */
export const reachable: Judge = ({ sqlite, postgres, config }) => {
  if (config.postgres === null) return amiss("no PostgreSQL is named: set DATABASE_URL");
  const silent = [problemOf("SQLite", sqlite), problemOf("PostgreSQL", postgres)].filter((problem) => problem !== null);
  return silent.length > 0 ? untold(silent.join("; ")) : fine("both databases answer");
};

/** Every migration of the package has been applied as it is, on both sides. */
export const schema: Judge = async (sight) => {
  try {
    return await judgeSchema(sight);
  } catch (error) {
    if (hasCode(error, "MIGRATION_TABLE_TAKEN")) return amiss(error.message);
    throw error;
  }
};

async function judgeSchema({ sqlite, postgres }: Sight): Promise<Judgement> {
  const lacking: string[] = [];
  for (const { engine, status } of [sqlite, postgres]) {
    if (engine === null || !answers(status)) return untold("not both databases can be seen");
    const { pending, changed } = await checkMigrations(engine);
    if (pending.length > 0) lacking.push(`${sideNames[engine.side]} lacks ${pending.join(", ")}`);
    if (changed.length > 0) lacking.push(`${sideNames[engine.side]} has another version of ${changed.join(", ")}`);
  }
  return lacking.length > 0 ? amiss(`${lacking.join("; ")}: run npx dualdb migrate`) : fine("both are up to date");
}

/** The databases are partners, and no change of the primary is under way. */
export const pair: Judge = (sight) => {
  const [left, right] = [stateIn(sight.sqlite), stateIn(sight.postgres)];
  if (right?.finalized === true) return amiss("PostgreSQL was finalized: it goes on alone");
  if (!answers(sight.sqlite.status) || !answers(sight.postgres.status)) return untold("not both databases can be seen");
  if (left === null || right === null || left.pairId === null || right.pairId === null)
    return amiss("the databases have not been brought together: run npx dualdb migrate");
  if (left.pairId !== right.pairId)
    return amiss("the databases belong to other partners: check SQLITE_DB_PATH and DATABASE_URL");
  if (left.forced)
    return amiss("after a forced roll-back, what PostgreSQL still owes comes in first: let the application run");
  if (left.primary !== right.primary) return amiss("a change of the primary is half-way: restart the application");
  return fine("the databases are partners, and at rest");
};

/** The side from which the step is taken. */
export const primary: Judge = (sight, { primary: wanted }) => {
  const left = stateIn(sight.sqlite)?.primary;
  const right = stateIn(sight.postgres)?.primary;
  const known = left ?? right;
  if (wanted === null) return fine(known === undefined ? "either may be" : `${sideNames[known]} is primary`);
  if (left === wanted && right === wanted) return fine(`${sideNames[wanted]} is primary`);
  if (left === undefined || right === undefined) return untold("not both databases have told");
  return amiss(`${sideNames[wanted]} is not primary yet: set USE_POSTGRES_PRIMARY=true first`);
};

/** What the application cannot do without is there on both sides. */
export const tables: Judge = (sight) =>
  withPairing(sight, ({ pairs, unmirrored, uncarried }) => {
    const known = new Set([...pairs.map((couple) => couple.table.name), ...uncarried.map(({ table }) => table)]);
    const absent = unmirrored.filter(({ table }) => !known.has(table));
    if (absent.length > 0) return amiss(`PostgreSQL lacks ${absent.map(({ table }) => table).join(", ")}`);
    return pairs.length === 0
      ? amiss("the databases share no table")
      : fine(`${counted(pairs.length, "table")} on both sides`);
  });

/** A column that one side lacks stops its table. */
export const columns: Judge = (sight) =>
  withPairing(sight, ({ missing, ambiguous }) => {
    const lacking = missing.map(({ side, table, column }) => `${sideNames[side]} lacks ${table}.${column}`);
    const unclear = ambiguous.map(({ left }) => `${left.join(" and ")} may mean the same`);
    const problems = [...lacking, ...unclear];
    return problems.length > 0 ? amiss(problems.join("; ")) : fine("both sides have the same columns");
  });

/** No table of SQLite stays behind. */
export const mirrored: Judge = (sight) =>
  withPairing(sight, ({ unmirrored }) => {
    const list = unmirrored.map(({ table, reason }) => `${table} (${reason})`).join(", ");
    return unmirrored.length > 0
      ? amiss(`not mirrored: ${list}; --tables leaves it out`)
      : fine("every table is mirrored");
  });

/** What needs both databases at once cannot be told without one of them. */
export function withPairing<T extends Judgement | Promise<Judgement>>(
  { pairing }: Sight,
  judge: (pairing: Pairing) => T,
): T | Judgement {
  return pairing === null ? untold("not both databases can be seen") : judge(pairing);
}

/** As `withPairing`, with both databases. */
export function withBoth(
  sight: Sight,
  judge: (pairing: Pairing, sqlite: Engine, postgres: Engine) => Promise<Judgement>,
): Judgement | Promise<Judgement> {
  const { sqlite, postgres } = sight;
  if (sqlite.engine === null || postgres.engine === null) return untold("not both databases can be seen");
  const [left, right] = [sqlite.engine, postgres.engine];
  return withPairing(sight, (pairing) => judge(pairing, left, right));
}

export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

function problemOf(name: string, { status }: SeenSide<unknown>): string | null {
  if (status === null || answers(status) || status.reachable) return null;
  return `${name} cannot be asked (${status.error.code}): ${status.error.message}`;
}
