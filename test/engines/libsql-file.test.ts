import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Engine, Transaction } from "../../src/engines/engine.js";
import { freshDirectory, freshSqlite } from "../support/databases.js";
import { fileConfig, oneValue, openAt, script, sqlite } from "../support/libsql.js";
import { unprivileged } from "../support/postgres-binaries.js";

const ITEMS = `CREATE TABLE items (id TEXT PRIMARY KEY, number INTEGER);
  CREATE TABLE totals (written INTEGER NOT NULL); INSERT INTO totals VALUES (0);`;
const insert = (id: string) => sqlite("INSERT INTO items (id, number) VALUES (?, 1)", id);
const count = (engine: Engine) => oneValue(engine, "SELECT count(*) FROM items");

describe("a locked file", () => {
  /** Holds the write lock until `release` is called. */
  async function lock(file: string): Promise<{ release: () => Promise<void> }> {
    const engine = await openAt(file);
    const signal = gate();
    const locked = gate();
    const done = engine.transaction({ mode: "write" }, async (transaction) => {
      await transaction.execute(sqlite("UPDATE totals SET written = written"));
      locked.open();
      await signal.opened;
    });
    await locked.opened;
    const release = async () => {
      signal.open();
      await done;
      await engine.close();
    };
    return { release };
  }

  async function withItems(): Promise<string> {
    const file = freshSqlite();
    const engine = await openAt(file);
    await script(engine, ITEMS);
    await engine.close();
    return file;
  }

  /** Ends when timers have run so many times. */
  async function turns(wanted: number): Promise<void> {
    for (let turn = 0; turn < wanted; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  test("is waited for, in order, while timers run, and what was then acknowledged is in the file", async () => {
    const file = await withItems();
    const holder = await lock(file);
    const engine = await openAt(file);
    const done: string[] = [];
    const writes = [
      engine.write([insert("a")]).then(() => done.push("a")),
      engine.write([insert("b"), insert("c")]).then(() => done.push("b")),
      engine
        .transaction({ mode: "write" }, (transaction) => transaction.execute(insert("d")))
        .then(() => done.push("d")),
    ];
    await turns(30);
    expect(done).toEqual([]);
    await holder.release();
    await Promise.all(writes);
    expect(done).toEqual(["a", "b", "d"]);
    for (let index = 0; index < 200; index++) await engine.write([insert(`later ${index}`)]);
    const witness = await openAt(file);
    expect(await count(witness)).toBe(204);
    await Promise.all([engine.close(), witness.close()]);
  });

  test("is waited for no longer when somebody asks for an end, and the connection is good afterwards", async () => {
    const file = await withItems();
    const engine = await openAt(file, { signal: AbortSignal.timeout(30) });
    const holder = await lock(file);
    const interrupted = { code: "INTERRUPTED", cause: expect.objectContaining({ code: "SQLITE_BUSY" }) };
    await expect(engine.write([insert("a")])).rejects.toMatchObject(interrupted);
    await expect(engine.transaction({ mode: "write" }, async () => {})).rejects.toMatchObject(interrupted);
    await holder.release();
    await engine.write([insert("b")]);
    expect(await engine.read(sqlite("SELECT id FROM items"))).toEqual([{ id: "b" }]);
    await engine.close();
  });

  test("can be read", async () => {
    const file = await withItems();
    const holder = await lock(file);
    const engine = await openAt(file);
    expect(await count(engine)).toBe(0);
    await holder.release();
    await engine.close();
  });

  test("is given up with DATABASE_BUSY, nothing done, and the connection is good afterwards", async () => {
    const file = await withItems();
    const holder = await lock(file);
    const engine = await openAt(file, { busyLimitMs: 60 });
    const busy = { code: "DATABASE_BUSY", retry: true, message: expect.stringContaining(file) };
    let runs = 0;
    await expect(engine.write([insert("a")])).rejects.toMatchObject(busy);
    await expect(engine.write([insert("a"), insert("b")])).rejects.toMatchObject(busy);
    await expect(engine.transaction({ mode: "write" }, async () => runs++)).rejects.toMatchObject(busy);
    expect(runs).toBe(0);
    await holder.release();
    await engine.write([insert("c")]);
    expect(await oneValue(engine, "PRAGMA foreign_keys")).toBe(1);
    await engine.close();
    const witness = await openAt(file);
    expect(await witness.read(sqlite("SELECT id FROM items"))).toEqual([{ id: "c" }]);
    await witness.close();
  });

  test("inside a transaction makes the whole work run again, even where it caught the error", async () => {
    const file = await withItems();
    const [engine, other] = [await openAt(file), await openAt(file)];
    const seen: unknown[] = [];
    await engine.transaction({ mode: "read" }, async (transaction) => {
      seen.push((await transaction.query(sqlite("SELECT count(*) AS n FROM items")))[0]?.n);
      // Another's commit makes this snapshot old, and an old one cannot write.
      if (seen.length === 1) await other.write([insert("other")]);
      await transaction.execute(insert("mine")).catch(() => 0);
    });
    expect(seen).toEqual([0n, 1n]);
    expect(await count(other)).toBe(2);
    await Promise.all([engine.close(), other.close()]);
  });

  test("that is removed or replaced while it is open acknowledges no write", async () => {
    const file = await withItems();
    const engine = await openAt(file);
    await engine.write([insert("kept")]);
    renameSync(file, `${file}.away`);
    await expect(engine.write([insert("gone")])).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    await expect(engine.transaction({ mode: "write" }, (t) => t.execute(insert("gone too")))).rejects.toThrow(file);
    renameSync(`${file}.away`, file);
    await engine.write([insert("back")]);
    await engine.close();
  });

  test("that was taken away meanwhile is not made anew", async () => {
    const file = await withItems();
    const holder = await lock(file);
    const engine = await openAt(file);
    const writing = engine.write([insert("a")]);
    const outcome = expect(writing).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    for (const end of ["", "-wal", "-shm"]) rmSync(file + end, { force: true });
    await outcome;
    expect(existsSync(file)).toBe(false);
    await engine.close();
    await holder.release().catch(() => {});
  });

  test("two processes and this one write, and every acknowledged row is there, once", async () => {
    const file = await withItems();
    const engine = await openAt(file);
    const children = ["first", "second"].map((prefix) => run("write", file, prefix, "1000"));
    const running = Promise.all(children.map(finished));
    let ended = false;
    void running.finally(() => {
      ended = true;
    });
    const acknowledged: string[] = [];
    // This one writes as the driver loses most: single statements that meet the lock again and again.
    for (let index = 0; !ended && index < 2000; index++) {
      await engine.write([insert(`own-${index}`)]);
      acknowledged.push(`own-${index}`);
      await turns(1);
    }
    for (const output of await running) acknowledged.push(...output.trim().split("\n"));
    await engine.close();
    const witness = await openAt(file);
    const rows = await witness.read(sqlite("SELECT id FROM items"));
    expect(rows.map(({ id }) => id).sort()).toEqual(acknowledged.sort());
    expect(acknowledged.length).toBeGreaterThan(2000);
    expect(await oneValue(witness, "SELECT written FROM totals")).toBe(666);
    expect(await oneValue(witness, "PRAGMA integrity_check")).toBe("ok");
    await witness.close();
  }, 60_000);
});

describe("the event loop", () => {
  /** How many turns there were while `work` ran. */
  async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
    let turns = 0;
    const timer = setInterval(() => {
      turns++;
    }, 1);
    await work();
    clearInterval(timer);
    return turns;
  }

  test("gets turns during a long series of statements", async () => {
    const engine = await openAt(freshSqlite());
    await script(engine, ITEMS);
    const series = await turnsDuring(async () => {
      for (let index = 0; index < 2000; index++) await engine.write([insert(`a${index}`)]);
    });
    const crowd = await turnsDuring(() =>
      Promise.all(Array.from({ length: 2000 }, (_, index) => engine.write([insert(`b${index}`)]))),
    );
    const inside = await turnsDuring(() =>
      engine.transaction({ mode: "write" }, async (transaction: Transaction) => {
        for (let index = 0; index < 4000; index++) await transaction.execute(insert(`c${index}`));
      }),
    );
    for (const turns of [series, crowd, inside]) expect(turns).toBeGreaterThan(5);
    await engine.close();
  });
});

describe("opening", () => {
  test("sets the pragmas", async () => {
    const engine = await openAt(freshSqlite());
    expect(await oneValue(engine, "PRAGMA journal_mode")).toBe("wal");
    expect(await oneValue(engine, "PRAGMA synchronous")).toBe(2);
    expect(await oneValue(engine, "PRAGMA foreign_keys")).toBe(1);
    await engine.close();
  });

  test("takes a path with spaces and other letters", async () => {
    const file = path.join(freshDirectory(), "a bot's dätä.db");
    const engine = await openAt({ ...fileConfig(file), url: `file:${encodeURI(file)}` });
    await script(engine, ITEMS);
    expect(existsSync(file)).toBe(true);
    await engine.close();
  });

  const refusals: [string, (directory: string) => string, boolean, string, string][] = [
    [
      "a file that is not there",
      (directory) => path.join(directory, "none.db"),
      false,
      "DATABASE_UNAVAILABLE",
      "there is no file",
    ],
    [
      "a directory that is not there",
      (directory) => path.join(directory, "none/bot.db"),
      true,
      "DATABASE_UNAVAILABLE",
      "is no directory",
    ],
    ["a directory", (directory) => directory, true, "DATABASE_UNUSABLE", "is a directory"],
    [
      "a file in a file",
      (directory) => path.join(written(directory, "x"), "bot.db"),
      true,
      "DATABASE_UNAVAILABLE",
      "is no directory",
    ],
    [
      "a file that is no database",
      (directory) => written(directory, "no database ".repeat(500)),
      true,
      "DATABASE_UNUSABLE",
      "is not an SQLite",
    ],
  ];
  test.each(refusals)("refuses %s", async (_title, place, createFile, code, words) => {
    const file = place(freshDirectory());
    const error = await openAt(file, { createFile }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code, side: "sqlite" });
    expect((error as Error).message).toContain(words);
    expect((error as Error).message).toContain(file);
    expect(existsSync(path.join(file, "none.db"))).toBe(false);
  });

  test("refuses a file in UTF-16", async () => {
    const file = freshSqlite();
    const { createClient } = await import("@libsql/client");
    const client = createClient({ url: `file:${file}` });
    await client.executeMultiple("PRAGMA encoding = 'UTF-16'; CREATE TABLE items (id TEXT);");
    client.close();
    await expect(openAt(file)).rejects.toMatchObject({
      code: "DATABASE_UNUSABLE",
      message: expect.stringContaining("UTF-16"),
    });
  });

  test("a read-only file can be read, and says why it cannot be written", async () => {
    const file = freshSqlite();
    const { createClient } = await import("@libsql/client");
    const client = createClient({ url: `file:${file}` });
    await client.executeMultiple(ITEMS);
    client.close();
    const found = await probe(file, 0o444, 0o777);
    expect(found.read).toEqual({ value: 0, warnings: 1 });
    expect(found.written).toMatchObject({
      code: "DATABASE_UNUSABLE",
      message: expect.stringContaining(`${found.file} is read-only`),
    });
  });

  test("an unreadable file, and a directory that may not be written, are named", async () => {
    const file = freshSqlite();
    const engine = await openAt(file);
    await script(engine, ITEMS);
    await engine.close();
    const named = (found: { file: unknown }) => ({ message: expect.stringContaining(String(found.file)) });
    const unreadable = await probe(file, 0o000, 0o777);
    expect(unreadable.read).toMatchObject({ code: "DATABASE_UNAVAILABLE", ...named(unreadable) });
    // A file in WAL mode needs two more beside it, even to be read.
    const closed = await probe(file, 0o444, 0o555);
    expect(closed.read).toMatchObject({ code: "DATABASE_UNUSABLE", ...named(closed) });
    const hidden = await probe(file, 0o444, 0o000);
    expect(hidden.read).toMatchObject({ code: "DATABASE_UNUSABLE", ...named(hidden) });
  });
});

interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

function gate(): Gate {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

function written(directory: string, content: string): string {
  const file = path.join(directory, "file");
  writeFileSync(file, content);
  return file;
}

const PROGRAM = fileURLToPath(new URL("../support/sqlite-process.ts", import.meta.url));

function run(...words: readonly string[]): ChildProcess {
  return spawn(process.execPath, ["--import", "tsx", PROGRAM, ...words], { stdio: ["ignore", "pipe", "inherit"] });
}

async function finished(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("the process has no output");
  const [output, [status]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  if (status !== 0) throw new Error(`the process ended with status ${status}`);
  return output;
}

/** What a user who is not root gets from a file, and a directory around it, of these modes. */
async function probe(
  file: string,
  fileMode: number,
  directoryMode: number,
): Promise<Record<"file" | "read" | "written", unknown>> {
  const scratch = mkdtempSync(path.join(tmpdir(), "dualdb-rights-"));
  const copy = path.join(scratch, "inner", "bot.db");
  mkdirSync(path.dirname(copy));
  copyFileSync(file, copy);
  const { uid, gid } = unprivileged;
  for (const each of [scratch, path.dirname(copy), copy])
    if (uid !== undefined && gid !== undefined) chownSync(each, uid, gid);
  chmodSync(copy, fileMode);
  chmodSync(path.dirname(copy), directoryMode);
  try {
    return { file: copy, ...JSON.parse(await finished(run("probe", copy))) };
  } finally {
    chmodSync(path.dirname(copy), 0o777);
    rmSync(scratch, { recursive: true });
  }
}
