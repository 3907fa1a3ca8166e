import type { Replacement } from "./package-copy.js";

/** The package with one rule of the protocol left out: a torture run that means something must fail. */
export interface Mutant {
  readonly name: string;
  /** The rule, in short. */
  readonly rule: string;
  readonly replacements: readonly Replacement[];
}

const batch = "shadow/batch.js";
const mirror = "shadow/mirror.js";
const triggers = "shadow/triggers.js";
const flip = "shadow/flip.js";
const journal = "shadow/journal.js";

function mutant(name: string, rule: string, ...places: readonly (readonly [string, string, string])[]): Mutant {
  return { name, rule, replacements: places.map(([file, find, replace]) => ({ file, find, replace })) };
}

const enterSqlite = "await this.#enterSqlite(transaction, table, others.get(table.name) ?? []);";

export const mutants: readonly Mutant[] = [
  mutant("sqlite-takes-all", "SQLite's triggers refuse when it is not primary", [
    triggers,
    `SELECT RAISE(ABORT, 'NOT_PRIMARY') FROM dualdb_state WHERE id = 1 AND "primary" <> 'sqlite';`,
    "",
  ]),
  mutant("postgres-takes-all", "PostgreSQL's triggers refuse when it is not primary", [
    triggers,
    "IS DISTINCT FROM 'postgres' THEN",
    "IS NULL THEN",
  ]),
  mutant(
    "versions-come-again",
    "a version is never used again",
    [triggers, ", s.version,", ", 1,"],
    [triggers, "k.row_key, nextval(", "k.row_key, 1 + 0 * nextval("],
    [triggers, "SET version = excluded.version", "SET version = dualdb_journal.version + 1"],
    [triggers, " AS j (table_name", " (table_name"],
  ),
  mutant(
    "removal-without-version",
    "only the entry that was read is removed",
    [journal, "CAST(value ->> 2 AS INTEGER) FROM json_each(", "dualdb_journal.version FROM dualdb_journal, json_each("],
    [journal, "SELECT * FROM unnest(", "SELECT one, two, version FROM dualdb_journal, unnest("],
    [journal, "::bigint[])", "::bigint[]) AS handled (one, two, three)"],
  ),
  mutant("no-eviction-trigger", "rows that REPLACE evicts are journaled", [
    triggers,
    "table.uniques.length === 0 ? [] :",
    "true ? [] :",
  ]),
  mutant("arming-without-keys", "arming enters every existing key", ["shadow/arm.js", enterSqlite, ";"]),
  mutant("arming-without-other-keys", "arming enters the keys of the other side too", [
    "shadow/arm.js",
    enterSqlite,
    "await this.#enterSqlite(transaction, table, []);",
  ]),
  mutant("applied-outside-lock", "PostgreSQL's rows are applied in the transaction that holds the lock", [
    mirror,
    'applyPlan(graph, "postgres", target, plan)',
    `postgres.transaction({ mode: "write", timeoutMs }, async (other) => {
       await other.query({ text: "SELECT set_config('dualdb.mirror', 'on', true)", values: [] });
       await applyPlan(graph, "postgres", other, plan);
     })`,
  ]),
  mutant("no-cas", "SQLite's rows are applied only if cas has not moved", [
    mirror,
    "if (!(await bumpCas(target, cas)))\n        throw overtaken();",
    "",
  ]),
  mutant("cas-after-rows", "cas is read before the rows", [
    mirror,
    "applyGuarded(graph, target, plan, cas + BigInt(part))",
    "readSqliteState(target).then((late) => applyGuarded(graph, target, plan, late.cas))",
  ]),
  mutant("batch-without-parents", "parents join the batch", [batch, "await this.#addParents(table, found, keys);", ""]),
  mutant("batch-without-uniques", "rows in the way of a unique value join the batch", [
    batch,
    "...(await this.#inTheWay(table, written)),",
    "",
  ]),
  mutant("batch-without-children", "children of rows that go join the batch", [
    batch,
    "for (const reference of this.#graph.referencesTo(table)) {",
    "for (const reference of []) {",
  ]),
  mutant("no-fence", "a PostgreSQL read looks at SQLite's journal first", [
    "adapter.js",
    "async #isClear(scope) {",
    "async #isClear(scope) { return true;",
  ]),
  mutant("read-without-state", "a read makes sure that its side is still primary", [
    "adapter.js",
    "this.#readFrom(primary, query, { asPrimary: true })",
    "this.#readFrom(primary, query, {})",
  ]),
  mutant("fence-without-state", "the fence looks whether SQLite is still primary", [
    "shadow/fence.js",
    'if (row?.primary !== "sqlite")',
    "if (false)",
  ]),
  mutant("fence-without-forced", "after a forced roll-back everything counts as owed", [
    "shadow/fence.js",
    "row.forced === 0 && ",
    "",
  ]),
  mutant("conflicts-overwritten", "in a recovery SQLite's own rows stay", [
    "shadow/recovery.js",
    "journaled.add(table, key);",
    ";",
  ]),
  mutant("no-bump-at-enter-postgres", "cas is bumped before PostgreSQL becomes primary", [
    flip,
    "if (!(await bumpCas(sqlite, states.sqlite.cas)))",
    "if (false)",
  ]),
  mutant("no-table-lock", "leaving PostgreSQL waits for writers that have passed the trigger", [
    flip,
    "IN SHARE ROW EXCLUSIVE MODE",
    "IN ROW SHARE MODE",
  ]),
];
