import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createClient } from "@libsql/client";
import { beforeAll, describe, expect, test } from "vitest";
import { freshPostgres, freshSqlite } from "./support/databases.js";
import { installPackage } from "./support/installed.js";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const readText = (name: string) => readFileSync(join(root, name), "utf8");

/** Long enough for a machine that is busy with other things: some of the tests start dozens of processes. */
const limitMs = 600_000;

let folder: string;
beforeAll(async () => {
  folder = await installPackage();
  cpSync(join(root, "examples/bot.ts"), join(folder, "bot.mts"));
  cpSync(join(root, "examples/bot.ts"), join(folder, "bot.mjs"));
  cpSync(join(root, "examples/bot.cjs"), join(folder, "bot.cjs"));
});

function dualdb(args: readonly string[], env: NodeJS.ProcessEnv) {
  return run(join(folder, "node_modules/.bin/dualdb"), args, { cwd: folder, env: { PATH: process.env.PATH, ...env } });
}

/** As strictly as the compiler can, and with no types but those that come with the package. */
async function compile(...files: readonly string[]): Promise<void> {
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", "false"];
  const output = ["--declaration", "--outDir", "compiled", "--module", "nodenext", "--target", "es2022"];
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const failed = ({ stdout }: { readonly stdout?: string }) => ({ stdout });
  const args = [compiler, ...strict, ...output, "--types", "node", ...files];
  const { stdout } = await run(process.execPath, args, { cwd: folder }).catch(failed);
  expect(stdout).toBe("");
}

/** The bot's lines until it has printed two, then Ctrl-C. */
async function runBot(file: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const bot = spawn(process.execPath, [file], { cwd: folder, env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(bot, "exit");
  const lines = await linesOf(bot, 2);
  bot.kill("SIGINT");
  expect(await ended).toEqual([0, null]);
  return lines;
}

async function linesOf(bot: ChildProcess, wanted: number): Promise<string[]> {
  const lines: string[] = [];
  if (bot.stdout === null) return lines;
  for await (const line of createInterface({ input: bot.stdout })) if (lines.push(line) === wanted) break;
  return lines;
}

/** The part of MIGRATION.md about tables that are not the package's. */
function recipe(): string {
  return /^## My own tables\n.*?(?=^## )/ms.exec(readText("MIGRATION.md"))?.[0] ?? "";
}

async function onFile(file: string, text: string): Promise<void> {
  const client = createClient({ url: `file:${file}`, concurrency: 1 });
  await client.executeMultiple(`PRAGMA foreign_keys = OFF; ${text}`);
  client.close();
}

/** Runs a command as a document shows it: its line, then what it prints, with … for lines that are left out, and any figure for a rate. */
async function shows(shown: string, env: NodeJS.ProcessEnv): Promise<1> {
  const [line = "", ...lines] = shown.trimEnd().split("\n");
  const [command = "", remark = ""] = line.split(/\s+# /);
  const failed = ({ code, stdout }: { readonly code?: unknown; readonly stdout?: string }) => ({ code, stdout });
  const done = await dualdb(command.split(" "), env).catch(failed);
  const code = "code" in done ? done.code : 0;
  expect({ command, code }).toEqual({ command, code: Number(/status (\d)/.exec(remark)?.[1] ?? 0) });
  let rest = `\n${withoutRates(done.stdout ?? "")}`;
  for (const piece of withoutRates(`\n${lines.join("\n")}\n`).split(/(?<=\n)…(?=\n)/)) {
    expect(rest).toContain(piece);
    rest = rest.slice(rest.indexOf(piece) + piece.length - 1);
  }
  expect(rest).toBe("\n");
  return 1;
}

function withoutRates(text: string): string {
  return text.replaceAll(/ {2,}[\d,]+$/gm, " …");
}

describe("the packed tarball", () => {
  test("holds the built files, the SQL and the documents, and nothing else", () => {
    const names = readdirSync(join(folder, "node_modules/dualdb")).sort();
    expect(names).toEqual(["MIGRATION.md", "README.md", "dist", "package.json", "sql"]);
  });

  test.each(["application", "toolkit", "handler"])(
    "compiles into a strict library's declarations: %s",
    async (name) => {
      const files = [`${name}.mts`, `${name}.cts`];
      for (const file of files) cpSync(join(root, `test/consumers/${name}.ts`), join(folder, file));
      await compile(...files);
    },
    limitMs,
  );

  test("type-checks the bot that README shows", () => compile("bot.mts"), limitMs);

  test(
    "takes a bot through every phase, as an ES module and with require()",
    async () => {
      const databases = { DATABASE_URL: await freshPostgres(), SQLITE_DB_PATH: freshSqlite() };
      expect((await runBot("bot.mjs", databases))[0]).toBe(
        "sqlite: ann 1, bo 1, cleo 1; primary sqlite, owed to the other side 0",
      );
      const { stdout } = await dualdb(["migrate"], databases);
      expect(stdout).toContain("armed  document_collaborators, documents, messages");
      const [shadow] = await runBot("bot.cjs", { ...databases, USE_POSTGRES_SHADOW: "true" });
      expect(shadow).toMatch(/^shadow: ann 3, bo 3, cleo 3; primary sqlite/);
      const [read] = await runBot("bot.mjs", { ...databases, USE_POSTGRES_SHADOW: "true", USE_POSTGRES_READ: "true" });
      expect(read).toMatch(/^read: ann 5, bo 5, cleo 5; primary sqlite/);
      const [primary] = await runBot("bot.cjs", {
        ...databases,
        USE_POSTGRES_PRIMARY: "true",
        USE_POSTGRES_SHADOW: "true",
      });
      expect(primary).toMatch(/^postgres-shadowed: ann 7, bo 7, cleo 7; primary postgres/);
      const [alone] = await runBot("bot.mjs", { ...databases, USE_POSTGRES_PRIMARY: "true" });
      expect(alone).toMatch(/^postgres: ann 9, bo 9, cleo 9; primary postgres/);
      const [back] = await runBot("bot.cjs", databases);
      expect(back).toMatch(/^sqlite: ann 11, bo 11, cleo 11; primary sqlite/);
    },
    limitMs,
  );
});

describe("the documents", () => {
  test("README shows the bot that is tested", () => {
    expect(readText("README.md")).toContain(`\`\`\`ts\n${readText("examples/bot.ts")}\`\`\``);
  });

  test("every function that README names is exported by its name", async () => {
    const rows = [...readText("README.md").matchAll(/^\| `\w+Service` \| (.*) \|$/gm)].map(([, names]) => names);
    const named = [...rows.join().matchAll(/`(\w+)`/g)].map(([, name]) => name);
    const functions: object = await import("../src/functions.js");
    expect(named.length).toBeGreaterThan(25);
    expect(Object.keys(functions)).toEqual(expect.arrayContaining(named));
  });

  test(
    "the commands that MIGRATION.md gives do what it says",
    async () => {
      const env = { DATABASE_URL: await freshPostgres(), SQLITE_DB_PATH: freshSqlite() };
      const commands = [
        ...readText("MIGRATION.md")
          .replace(recipe(), "")
          .matchAll(/(?:^|`)npx dualdb ([a-z_ -]+)/gm),
      ].map(([, args]) => String(args).trim());
      expect(commands).toEqual(expect.arrayContaining(["migrate", "migrate --list", "migrate create add_notes"]));
      // No bot has told a gate of its work, SQLite is primary, and finalize and rearm ask somebody who sits there.
      const statuses: Readonly<Record<string, number>> = {
        "status --gate read": 1,
        "status --gate postgres": 1,
        "status --gate finalize": 3,
      };
      const done = () => 0;
      const failed = ({ code }: { readonly code: unknown }) => code;
      for (const command of new Set(["migrate", ...commands])) {
        if (command === "finalize" || command.startsWith("rearm ")) continue;
        const status = await dualdb(command.split(" "), env).then(done, failed);
        expect({ command, status }).toEqual({ command, status: statuses[command] ?? 0 });
      }
      const names = readdirSync(join(folder, "migrations/postgres"));
      expect(names).toEqual([expect.stringMatching(/^\d{14}_add_notes\.sql$/)]);
      expect(readdirSync(join(folder, "migrations/libsql"))).toEqual(names);
    },
    limitMs,
  );

  test(
    "the recipe for one's own tables shows what one sees",
    async () => {
      const file = freshSqlite();
      const env = { DATABASE_URL: await freshPostgres(), SQLITE_DB_PATH: file };
      const steps = recipe().matchAll(/```(sql|console)\n(.*?)```|`(UPDATE .*?)`/gs);
      let commands = 0;
      for (const [, kind, block = "", update] of steps) {
        if (kind !== "console") await onFile(file, update ?? block);
        else for (const shown of block.split(/^\$ npx dualdb /m).slice(1)) commands += await shows(shown, env);
      }
      expect(commands).toBe(5);
    },
    limitMs,
  );

  test("every code and variable that they name is there", async () => {
    const { codes } = await import("../src/errors.js");
    const readers = ["config.ts", "config/flags.ts", "config/postgres.ts", "config/sqlite.ts", "http.ts"];
    const sources = readers.map((name) => readText(`src/${name}`)).join();
    const known = (name: string) => name in codes || new RegExp(`\\b${name}\\b`).test(sources);
    const documents = `${readText("MIGRATION.md")}${readText("README.md")}`.replace(/`TEST_\w+`/g, "");
    const named = [...documents.matchAll(/`([A-Z]+_[A-Z_]+)/g)].map(([, name]) => String(name));
    expect(named.filter((name) => !known(name))).toEqual([]);
  });
});
