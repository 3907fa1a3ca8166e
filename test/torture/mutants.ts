import { quarantineAfter } from "../../src/shadow/journal.js";
import type { Replacement } from "./package-copy.js";

/** The package with one rule of the protocol left out: a torture run that means something must fail. */
export interface Mutant {
  readonly name: string;
  /** The rule, in short. */
  readonly rule: string;
  readonly replacements: readonly Replacement[];
}

const arming = "shadow/arming.js";
const collisions = "shadow/collisions.js";
const mirror = "shadow/mirror.js";
const triggers = "shadow/triggers.js";
const flip = "shadow/flip.js";
const journal = "shadow/journal.js";
const recovery = "shadow/recovery.js";

function mutant(
  name: string,
  rule: string,
  ...places: readonly (readonly [file: string, find: string | RegExp, replace: string])[]
): Mutant {
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
    "shadow/evictions.js",
    "if (conditions.length === 0)",
    "if (true)",
  ]),
  mutant("arming-without-keys", "arming enters every existing key", [arming, enterSqlite, ";"]),
  mutant("arming-without-other-keys", "arming enters the keys of the other side too", [
    arming,
    enterSqlite,
    "await this.#enterSqlite(transaction, table, []);",
  ]),
  mutant(
    "arming-in-two-steps",
    "triggers and keys come in one transaction",
    [arming, enterSqlite, ";"],
    [
      arming,
      'const keys = await this.#sqlite.transaction({ mode: "write" }, async (transaction) => {',
      `await this.#sqlite.transaction({ mode: "write" }, async (early) => {
         if (primary !== "sqlite") return;
         for (const table of tables) await this.#enterSqlite(early, table, others.get(table.name) ?? []);
       });
       await new Promise((resolve) => setTimeout(resolve, 50));
       const keys = await this.#sqlite.transaction({ mode: "write" }, async (transaction) => {`,
    ],
  ),
  mutant("applied-outside-lock", "PostgreSQL's rows are applied in the transaction that holds the lock", [
    mirror,
    'applyPlan(graph, "postgres", target, plan)',
    `this.#pair.postgres.transaction({ mode: "write" }, async (other) => {
       await other.query({ text: "SELECT set_config('dualdb.mirror', 'on', true)", values: [] });
       await applyPlan(graph, "postgres", other, plan);
     })`,
  ]),
  mutant("no-cas", "SQLite's rows are applied only if cas has not moved", [
    mirror,
    /if \(!\(await bumpCas\(target, cas\)\)\)\s+throw overtaken\(\);/,
    "",
  ]),
  mutant("cas-after-rows", "cas is read before the rows", [
    mirror,
    "applyGuarded(graph, target, plan, cas + BigInt(part))",
    "readSqliteState(target).then((late) => applyGuarded(graph, target, plan, late.cas))",
  ]),
  mutant("batch-without-parents", "parents join the batch", [
    "shadow/source-rows.js",
    "await this.#addParents(transaction, table, found, wanted);",
    "",
  ]),
  mutant("batch-without-uniques", "rows in the way of a unique value join the batch", [
    collisions,
    "...(await this.#inTheWay(transaction, table, written)),",
    "",
  ]),
  mutant("batch-without-children", "children of rows that go join the batch", [
    collisions,
    "for (const reference of graph.referencesTo(table)) {",
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
  mutant("fallback-read-without-state", "what SQLite answers for PostgreSQL is read from a primary too", [
    "adapter.js",
    'this.#readFrom("sqlite", query, { asPrimary: true })',
    'this.#readFrom("sqlite", query, {})',
  ]),
  mutant("quarantine-not-fenced", "a quarantined entry counts as owed for the fence", [
    "shadow/fence.js",
    "FROM dualdb_journal",
    `FROM (SELECT * FROM dualdb_journal WHERE attempts < ${quarantineAfter})`,
  ]),
  mutant(
    "quarantine-not-carried",
    "a quarantined entry counts as owed for flips",
    [flip, "this.#mirror.next(from, null, true)", "this.#mirror.next(from, null, false)"],
    [
      journal,
      "SELECT 1 AS one FROM dualdb_journal LIMIT 1",
      `SELECT 1 AS one FROM dualdb_journal WHERE attempts < ${quarantineAfter} LIMIT 1`,
    ],
  ),
  mutant("refusal-without-version", "only the entry that was refused is told so", [
    journal,
    / AND version = \$\{entry\.version\}/,
    "",
  ]),
  mutant("no-halving", "rows that stand beside a refused one are carried", [
    mirror,
    "if (entries.length === 1 && only !== undefined)",
    `if (entries.length > 1) {
       const refusals = entries.map((entry) => ({ entry, reason: reasonOf(error) }));
       return [{ entries: [], refusals, findings: [] }];
     }
     if (only !== undefined)`,
  ]),
  mutant("fence-without-forced", "after a forced roll-back everything counts as owed", [
    "shadow/fence.js",
    "forced <> 0 OR ",
    "",
  ]),
  mutant("conflicts-overwritten", "in a recovery SQLite's own rows stay", [
    recovery,
    "journaled.add(table, key);",
    ";",
  ]),
  mutant(
    "everything-a-conflict",
    "in a recovery what nobody has written on SQLite comes in",
    [recovery, '(await this.#apply(source, entries)).is === "applied"', "false"],
    [recovery, 'outcome.is === "conflict"', "true"],
  ),
  mutant("not-followed", "a process that is told that the primary is elsewhere goes there, and repeats the call", [
    "adapter.js",
    "return this.#repeat(call,",
    "throw error; return this.#repeat(call,",
  ]),
  mutant("catalogues-not-compared", "who carries rows looks at the tables again when a schema has changed", [
    "shadow/state.js",
    "if (found[side] === undefined || found[side] === known[side])",
    "if (true)",
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

/** What no run can miss, because nothing is lost without it. */
export const spare: readonly { readonly rule: string; readonly why: string }[] = [
  {
    rule: "cas is read after the lock has been taken, and not before",
    why: "everything that changes SQLite on behalf of PostgreSQL, or moves its state, raises cas: a pass with an older one aborts, and one whose cas still holds has missed nothing. Read early, it only aborts more often.",
  },
  {
    rule: "the fence asks whether SQLite is still primary",
    why: "SQLite's journal keeps its entries when the primary moves, and PostgreSQL writes none of them: while it is empty PostgreSQL has every acknowledged write, of both sides. The question only lets the process follow sooner.",
  },
];
