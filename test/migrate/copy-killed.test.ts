import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Engine, Statement } from "../../src/engines/engine.js";
import { copy } from "../../src/migrate/copy.js";
import { armedPair, eightWriters } from "../support/armed-pair.js";
import { freshDirectory } from "../support/databases.js";
import { openAt, sqlite } from "../support/libsql.js";
import { counts, databases, numbers } from "../support/strangers.js";
import { Random } from "../torture/random.js";

const kills = 25;
/** Writers leave the copies some of the machine. */
const pauseMs = 20;
/** On a machine that others use, too. */
const timeoutMs = 600_000;
const program = fileURLToPath(new URL("../support/copy-process.mjs", import.meta.url));

/** From TEST_SEED, where a failing run is to be repeated: the steps at which copies are killed, and what the writers do. */
function randomFor(test: string): Random {
  const seed = process.env.TEST_SEED ?? String(Math.floor(Math.random() * 2 ** 31));
  process.stderr.write(`copies killed at random, ${test}: TEST_SEED=${seed}\n`);
  return new Random(seed, test);
}

/** Another process that is ready to copy. */
async function started(args: readonly string[]): Promise<ChildProcess> {
  const child = fork(program, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child, "message");
  return child;
}

/** Lets it copy, and kills it at its given step; whether it was still at work then. */
async function killedAt(step: number, child: ChildProcess): Promise<boolean> {
  const ended = once(child, "exit");
  let steps = 0;
  child.on("message", () => {
    if (++steps === step) child.kill("SIGKILL");
  });
  child.send("go");
  const [status, signal] = await ended;
  expect([0, null]).toContain(status);
  return signal === "SIGKILL";
}

/** The next one starts while one is at work. */
async function killRepeatedly(random: Random, latestStep: number, ...args: readonly string[]): Promise<void> {
  let next = started(args);
  for (let killed = 0; killed < kills; ) {
    const child = await next;
    next = started(args);
    if (await killedAt(random.whole(1, latestStep), child)) killed++;
  }
  (await next).kill("SIGKILL");
}

describe(`a copy that is killed ${kills} times at random ends exact`, () => {
  test(
    "in a pair, while eight writers insert, update and delete",
    async () => {
      const random = randomFor("in a pair");
      const pair = await armedPair(800);
      const rejects = join(freshDirectory(), "rejects");
      const database = await pair.open("---");
      const writers = eightWriters(database, pauseMs);
      await killRepeatedly(random, 15, pair.file, pair.url, rejects, "40");
      expect(Math.min(...(await writers.stop()))).toBeGreaterThan(0);
      const report = await copy({ env: {}, sqlite: pair.file, postgres: pair.url, rejects });
      expect(report.rejects).toBeNull();
      expect(await pair.owed("sqlite")).toBe(0);
      await pair.expectEqual();
    },
    timeoutMs,
  );

  test(
    "between databases that are no pair, while writers insert, update and swap",
    async () => {
      const random = randomFor("no pair");
      const both = await databases(
        `CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, n INTEGER);
       CREATE TABLE tagged (id INTEGER PRIMARY KEY, tag TEXT NOT NULL UNIQUE, item INTEGER REFERENCES items);
       CREATE TABLE nodes (id INTEGER PRIMARY KEY, up INTEGER REFERENCES nodes, slug TEXT UNIQUE);
       ${numbers(1_200)} INSERT INTO items SELECT i, 'item ' || i, i FROM n;
       ${numbers(300)} INSERT INTO tagged SELECT i, 'tag ' || i, i FROM n;
       ${numbers(300)} INSERT INTO nodes SELECT i, NULLIF(i / 2, 0), 'slug ' || i FROM n`,
        `CREATE TABLE items (id bigint PRIMARY KEY, name text, n bigint);
       CREATE TABLE tagged (id bigint PRIMARY KEY, tag text NOT NULL UNIQUE, item bigint REFERENCES items);
       CREATE TABLE nodes (id bigint PRIMARY KEY, up bigint REFERENCES nodes, slug text UNIQUE)`,
      );
      const writers = await writersOf(both.file, random);
      await killRepeatedly(random, 35, both.file, both.url, both.rejects, "100");
      expect(await writers.stop()).toBeGreaterThan(100);
      const last = await both.copy();
      expect(last.rejects).toBeNull();
      await both.expectEqual();
      expect(counts(await both.copy()).map(([, , written, , setAside, extra]) => [written, setAside, extra])).toEqual([
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
      ]);
    },
    timeoutMs,
  );
});

/** Two writers of a file, until `stop`, which tells how often they have written. */
async function writersOf(file: string, random: Random): Promise<{ stop(): Promise<number> }> {
  const engines = [await openAt(file, { createFile: false }), await openAt(file, { createFile: false })];
  let isOver = false;
  const running = Promise.all(engines.map((engine, index) => write(engine, index, random, () => isOver)));
  running.catch(() => undefined);
  return {
    async stop() {
      isOver = true;
      const writes = await running;
      for (const engine of engines) await engine.close();
      return Math.min(...writes);
    },
  };
}

async function write(engine: Engine, writer: number, random: Random, isOver: () => boolean): Promise<number> {
  let writes = 0;
  for (; !isOver(); writes++) {
    await engine.write(random.pick(changes)(random, 10_000 + writes * 2 + writer));
    await delay(pauseMs);
  }
  return writes;
}

/** What a writer does in one transaction; `id` is one that no row has. Values are unique over both writers. */
const changes: readonly ((random: Random, id: number) => Statement[])[] = [
  (_, id) => [sqlite("INSERT INTO items VALUES (?, 'new', 0)", id)],
  (random) => [sqlite("UPDATE items SET n = n + 1 WHERE id BETWEEN ? AND ?", ...span(random, 1_200))],
  (random, id) => [sqlite("INSERT INTO tagged VALUES (?, ?, ?)", id, `tag ${id}`, random.whole(1, 1_200))],
  (random, id) => swap("tagged", "tag", `parked ${id}`, random.whole(1, 300), random.whole(1, 300)),
  (random, id) => [sqlite("INSERT INTO nodes VALUES (?, ?, ?)", id, random.whole(1, 300), `slug ${id}`)],
  (random, id) => swap("nodes", "slug", `parked ${id}`, random.whole(1, 300), random.whole(1, 300)),
  (random) => [sqlite("UPDATE nodes SET up = ? WHERE id = ?", random.whole(1, 150), random.whole(151, 300))],
];

function span(random: Random, last: number): [number, number] {
  const from = random.whole(1, last);
  return [from, from + 20];
}

/** The first takes a value that nobody has, the second the first one's, and the first the second one's, which stands behind the comma. */
function swap(table: string, column: string, parked: string, left: number, right: number): Statement[] {
  if (left === right) return [sqlite(`UPDATE ${table} SET ${column} = ${column} WHERE id = ?`, left)];
  const current = (id: number) => `(SELECT ${column} FROM ${table} WHERE id = ${id})`;
  return [
    sqlite(
      `UPDATE ${table} SET ${column} = ? || ',' || ${current(left)} || ',' || ${current(right)} WHERE id = ?`,
      parked,
      left,
    ),
    sqlite(`UPDATE ${table} SET ${column} = ${part(table, column, left, 1)} WHERE id = ?`, right),
    sqlite(`UPDATE ${table} SET ${column} = ${part(table, column, left, 2)} WHERE id = ?`, left),
  ];
}

function part(table: string, column: string, id: number, index: number): string {
  const list = `'["' || replace(${column}, ',', '","') || '"]'`;
  return `(SELECT json_extract(${list}, '$[${index}]') FROM ${table} WHERE id = ${id})`;
}
