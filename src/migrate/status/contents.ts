import { setTimeout as sleep } from "node:timers/promises";
import { TableGraph } from "../../data/graph.js";
import type { Side } from "../../engines/engine.js";
import { type Orphans, orphansOf } from "../verify/orphans.js";
import { checkSearch } from "../verify/search.js";
import { type TableVerdict, tableVerdict } from "../verify/verdicts.js";
import { amiss, fine, type Judge, type Judgement, untold } from "./check.js";
import { countTables, type TableCount } from "./counts.js";
import { duration } from "./duration.js";
import { answers, type Sight, sideNames, stateIn, tableNamesIn } from "./sight.js";
import { counted, withBoth, withPairing } from "./standing.js";

/** Rows that are on their way are given so many looks to arrive. */
const looks = 5;
const pauseMs = 100;
/** An entry that has waited longer is not on its way. */
const youngMs = 60_000;
const timeoutMs = 600_000;

/** No row names a parent that is not there: the other side would refuse it. */
export const foreignKeys: Judge = (sight) =>
  withBoth(sight, async ({ pairs }, sqlite, postgres) => {
    const graph = new TableGraph(pairs.map(({ table }) => table));
    const found: Orphans[] = [];
    for (const table of graph.tables) found.push(...(await orphansOf(graph, table, { sqlite, postgres, timeoutMs })));
    const list = found.map(
      ({ side, table, columns, rows }) =>
        `${counted(rows, "row")} of ${table} (${columns.join(", ")}) in ${sideNames[side]}`,
    );
    return list.length > 0 ? amiss(`no parent for ${list.join("; ")}`) : fine("every row has its parents");
  });

/** Every table has as many rows on both sides, but for those that are owed. */
export const counts: Judge = (sight) =>
  withBoth(sight, async (pairing, sqlite, postgres) => {
    const paired = stateIn(sight.sqlite) !== null && stateIn(sight.postgres) !== null;
    for (let look = 1; ; look++) {
      const judgement = judgeCounts(await countTables(sqlite, postgres, pairing, paired));
      if (judgement.ok === true || look === looks) return judgement;
      await sleep(pauseMs);
    }
  });

function judgeCounts(tables: readonly TableCount[]): Judgement {
  const apart = tables.filter(({ sqlite, postgres }) => sqlite !== postgres);
  const unexplained = apart.filter(({ sqlite, postgres, owed }) => Math.abs(sqlite - postgres) > owed);
  if (unexplained.length > 0) return amiss(`${listOf(unexplained)}: run npx dualdb verify`);
  if (apart.length > 0) return untold(`rows are still owed (${listOf(apart)})`);
  const rows = tables.reduce((sum, { sqlite }) => sum + sqlite, 0);
  return fine(`${counted(rows, "row")} in ${counted(tables.length, "table")}, the same on both sides`);
}

const listed = 5;

function listOf(tables: readonly TableCount[]): string {
  const figure = (count: number) => count.toLocaleString("en");
  const list = tables
    .slice(0, listed)
    .map(({ table, sqlite, postgres }) => `${table}: SQLite ${figure(sqlite)}, PostgreSQL ${figure(postgres)}`);
  return [...list, ...(tables.length > listed ? [`and ${tables.length - listed} more`] : [])].join("; ");
}

/**
 * Every table was found equal by the last verify that looked at it, and not too long ago; where a side has to be primary already, since it
 * became that.
 */
export const verify: Judge = (sight, { verifyWithinMs, primary }) => {
  const { postgres, runs, now } = sight;
  if (!answers(postgres.status)) return untold("PostgreSQL, which remembers it, cannot be asked");
  return withPairing(sight, () => {
    const verdicts = tableNamesIn(sight).map((table) => tableVerdict(table, runs));
    const judgement = judgeVerdicts(verdicts, now, verifyWithinMs);
    return judgement.ok === true && primary !== null ? (judgeSince(verdicts, sight, primary) ?? judgement) : judgement;
  });
};

/** null where every table was looked at since that side became primary. */
function judgeSince(verdicts: readonly TableVerdict[], sight: Sight, primary: Side): Judgement | null {
  const state = primary === "postgres" ? stateIn(sight.postgres) : stateIn(sight.sqlite);
  const since = state?.changedAt ?? 0;
  const before = verdicts.filter(({ equal }) => (equal?.beganAt ?? 0) < since);
  if (before.length === 0) return null;
  const which = before.length < verdicts.length ? `${named(before)} ` : "";
  return amiss(`${which}verified before ${sideNames[primary]} became primary: run npx dualdb verify`);
}

function judgeVerdicts(verdicts: readonly TableVerdict[], now: number, withinMs: number): Judgement {
  const advice = "run npx dualdb verify";
  const differing = verdicts.filter(({ differedAt }) => differedAt !== null);
  const last = Math.max(...differing.map(({ differedAt }) => differedAt ?? 0));
  if (differing.length > 0)
    return amiss(
      `differences in ${named(differing)}, found ${duration(now - last)} ago: ${advice}, and npx dualdb repair`,
    );
  const verified = verdicts.filter(({ equal }) => equal !== null);
  const unseen = verdicts.filter(({ equal }) => equal === null);
  if (verified.length === 0) return amiss(`never verified: ${advice}`);
  if (unseen.length > 0) return amiss(`only some tables were verified, and not ${named(unseen)}: ${advice}`);
  const age = ({ equal }: TableVerdict) => now - (equal?.endedAt ?? 0);
  const oldest = Math.max(...verified.map(age));
  const limit = `at most ${duration(withinMs)}`;
  const old = verified.filter((verdict) => age(verdict) > withinMs);
  const which = old.length < verified.length ? `${named(old)} ` : "";
  if (old.length > 0) return amiss(`${which}equal ${duration(oldest)} ago, but ${limit} is asked for: ${advice}`);
  return fine(`equal ${duration(oldest)} ago (${limit})`);
}

function named(tables: readonly { readonly table: string }[]): string {
  const names = tables.slice(0, listed).map(({ table }) => table);
  return [...names, ...(tables.length > listed ? [`and ${tables.length - listed} more`] : [])].join(", ");
}

/** Nothing has been set aside that the other side refuses. */
export const quarantine: Judge = ({ sqlite, postgres, conflictCount }) => {
  const sides = [sqlite.status, postgres.status];
  const refused = sides.flatMap((status) => (status?.reachable === true ? status.refused : []));
  const quarantined = sides.reduce(
    (sum, status) => sum + (status?.reachable === true ? status.journal.quarantined : 0),
    0,
  );
  const [first] = refused;
  if (first !== undefined)
    return amiss(
      `${counted(Math.max(quarantined, refused.length), "row")} refused, the last of ${first.table}: ${first.key} (${first.lastError}); mend it on the primary`,
    );
  if (conflictCount > 0)
    return fine(`nothing; ${counted(conflictCount, "conflict")} of a forced roll-back, settled for SQLite's version`);
  return sides.every((status) => status?.reachable === true)
    ? fine("nothing")
    : untold("not both journals can be read");
};

/** What is owed is on its way. */
export const owed: Judge = (sight) => {
  const primary = stateIn(sight.sqlite)?.primary ?? stateIn(sight.postgres)?.primary;
  const status = primary === undefined ? null : sight[primary].status;
  if (primary === undefined || status?.reachable !== true) return untold("the primary's journal cannot be read");
  const { entries, oldest } = status.journal;
  if (oldest === null) return fine("nothing");
  const what = `${counted(entries, "row")}, the oldest for ${duration(sight.now - oldest)}`;
  const advice = "is USE_POSTGRES_SHADOW on, and the application running?";
  return sight.now - oldest > youngMs ? amiss(`${what} (at most ${duration(youngMs)}): ${advice}`) : fine(what);
};

/** Both sides find messages by their words. */
export const search: Judge = (sight) =>
  withBoth(sight, async ({ tables }, sqlite, postgres) => {
    const found = await checkSearch(tables, sqlite, postgres);
    if (found === null) return fine("there is nothing to search here");
    const [first] = found.missed;
    if (first !== undefined)
      return amiss(
        `${sideNames[first.side]} does not find ${counted(found.missed.length, "message")} by a word, such as ${first.key}`,
      );
    return fine(
      found.words === 0
        ? "no message to search for yet"
        : `${counted(found.words, "sample word")}, found on both sides`,
    );
  });
