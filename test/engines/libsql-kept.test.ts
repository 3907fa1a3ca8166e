import { existsSync, renameSync, rmSync } from "node:fs";
import { expect, test } from "vitest";
import type { Engine, Row } from "../../src/engines/engine.js";
import { freshSqlite } from "../support/databases.js";
import { openAt } from "../support/libsql.js";

const counting = { sql: "SELECT CAST(COUNT(*) AS TEXT) AS count FROM notes WHERE text = ?", text: "" };
const ask = (engine: Engine): Promise<Row[]> => engine.read({ ...counting, values: ["a"] }, { kept: true });
const put = (engine: Engine) => engine.write([{ sql: "INSERT INTO notes VALUES (?)", text: "", values: ["a"] }]);

async function notes(): Promise<{ file: string; engine: Engine }> {
  const file = freshSqlite();
  const engine = await openAt(file);
  await engine.transaction({ mode: "write" }, (transaction) => transaction.script("CREATE TABLE notes (text TEXT)"));
  return { file, engine };
}

test("a statement that is kept prepared sees every committed write, of this connection and of others", async () => {
  const { file, engine } = await notes();
  const other = await openAt(file);
  for (let count = 0; count < 20; count += 2) {
    expect(await ask(engine)).toEqual([{ count: String(count) }]);
    await put(engine);
    expect(await ask(engine)).toEqual([{ count: String(count + 1) }]);
    await put(other);
  }
  await other.close();
  await engine.close();
});

test("it answers while a transaction holds the connection, and sees nothing of it before its end", async () => {
  const { engine } = await notes();
  await engine.transaction({ mode: "write" }, async (transaction) => {
    await transaction.script("INSERT INTO notes VALUES ('a')");
    expect(await ask(engine)).toEqual([{ count: "0" }]);
  });
  expect(await ask(engine)).toEqual([{ count: "1" }]);
  await engine.close();
});

test("it holds no snapshot: the write-ahead log can be brought into the file and emptied", async () => {
  const { file, engine } = await notes();
  await put(engine);
  await ask(engine);
  const other = await openAt(file);
  const text = "PRAGMA wal_checkpoint(TRUNCATE)";
  expect(await other.read({ sql: text, text, values: [] })).toEqual([{ busy: 0, log: 0, checkpointed: 0 }]);
  await other.close();
  await engine.close();
});

test("it follows a change of the schema, and says what is wrong in the ordinary way", async () => {
  const { engine } = await notes();
  await put(engine);
  await ask(engine);
  const script = (text: string) => engine.transaction({ mode: "write" }, (transaction) => transaction.script(text));
  await script("ALTER TABLE notes RENAME TO former; CREATE TABLE notes (text TEXT, more TEXT)");
  expect(await ask(engine)).toEqual([{ count: "0" }]);
  await script("DROP TABLE notes");
  await expect(ask(engine)).rejects.toMatchObject({ code: "SCHEMA_MISSING" });
  await script("ALTER TABLE former RENAME TO notes");
  expect(await ask(engine)).toEqual([{ count: "1" }]);
  await engine.close();
  await expect(ask(engine)).rejects.toMatchObject({ code: "DATABASE_CLOSED" });
});

test("it makes no new file in the place of one that has been taken away", async () => {
  const { file, engine } = await notes();
  renameSync(file, `${file}.away`);
  await ask(engine).catch(() => undefined);
  expect(existsSync(file)).toBe(false);
  await engine.close();
  rmSync(`${file}.away`);
});
