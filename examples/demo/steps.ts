import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { sql } from "dualdb";
import type { Report } from "./protocol.js";
import { count } from "./screen.js";
import type { Stage } from "./stage.js";

/** MIGRATION.md in one go, and what can go wrong on the way. Each step leaves the bot running for the next one. */
export const steps: readonly ((stage: Stage) => Promise<void>)[] = [
  onSqlite,
  schema,
  shadow,
  outage,
  reads,
  primary,
  killed,
  alone,
  rollBack,
  again,
];

const shadowOn = { USE_POSTGRES_SHADOW: "true" };
const readsOn = { ...shadowOn, USE_POSTGRES_READ: "true" };
const primaryOn = { ...shadowOn, USE_POSTGRES_PRIMARY: "true" };
const primaryAlone = { USE_POSTGRES_PRIMARY: "true" };

async function onSqlite(stage: Stage): Promise<void> {
  stage.begin("A bot on SQLite, with an old bot's rows", "no flags");
  await stage.roll({});
  await stage.pass();
  stage.end();
}

async function schema(stage: Stage): Promise<void> {
  stage.begin("PostgreSQL gets its tables", "npx dualdb migrate");
  const command = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
  const { env, signal } = stage.parts;
  const { stdout } = await promisify(execFile)(process.execPath, [command, "migrate"], { env, signal });
  stage.end(`${stdout.split("\n").filter((line) => line.includes("applied")).length} files applied`);
}

async function shadow(stage: Stage): Promise<void> {
  stage.begin("PostgreSQL follows; the old rows are owed like any others", flagsText(shadowOn));
  await stage.roll(shadowOn);
  const { refused } = await stage.caughtUp();
  if (refused.length > 0) await mend(stage, refused);
  stage.end("caught up");
}

/** An old row that PostgreSQL cannot take holds up nobody, and is named until somebody mends it. */
async function mend(stage: Stage, refused: Report["refused"]): Promise<void> {
  for (const { table, key, reason } of refused) stage.say(`${table} ${key} refused: ${reason}`);
  await stage.parts.sqlite.write([sql`UPDATE queries SET result_count = NULL WHERE typeof(result_count) = 'text'`]);
  stage.say("mended on a console");
  await stage.until("the mended row", (report) => report.refused.length === 0);
  await stage.caughtUp();
}

async function outage(stage: Stage): Promise<void> {
  stage.begin("PostgreSQL crashes, and comes back");
  await stage.parts.server.crash();
  await stage.pass();
  stage.say("down; the bot writes on");
  await stage.parts.server.restart();
  await stage.caughtUp();
  stage.end("up, and caught up");
}

async function reads(stage: Stage): Promise<void> {
  stage.begin("PostgreSQL answers reads", flagsText(readsOn));
  await stage.roll(readsOn);
  await stage.pass();
  const { reads } = await stage.until("a read of PostgreSQL", (report) => report.reads.fenced > 0);
  const others = reads.owed + reads.failedOver;
  stage.end(`${count(reads.fenced)} reads from PostgreSQL, ${count(others)} from SQLite`);
}

async function primary(stage: Stage): Promise<void> {
  stage.begin("PostgreSQL becomes primary, SQLite follows", flagsText(primaryOn));
  await stage.roll(primaryOn);
  await stage.until("PostgreSQL to be primary", (report) => report.primary === "postgres");
  await stage.pass();
  stage.end();
}

async function killed(stage: Stage): Promise<void> {
  stage.begin("The bot is killed in the middle of writes", "kill -9");
  await stage.kill();
  stage.say("killed");
  await stage.roll(primaryOn);
  await stage.pass();
  stage.end("started again");
}

async function alone(stage: Stage): Promise<void> {
  stage.begin("PostgreSQL alone; what SQLite is owed is kept", flagsText(primaryAlone));
  await stage.roll(primaryAlone);
  await stage.pass();
  stage.end();
}

async function rollBack(stage: Stage): Promise<void> {
  stage.begin("Back to SQLite, with all that was written meanwhile", "no flags");
  await stage.roll({});
  await stage.until("SQLite to be primary", (report) => report.primary === "sqlite");
  await stage.pass();
  stage.end();
}

async function again(stage: Stage): Promise<void> {
  stage.begin("PostgreSQL follows once more, for the comparison", flagsText(shadowOn));
  await stage.roll(shadowOn);
  await stage.quiet();
  await stage.until("nothing owed", ({ owed }) => owed === 0);
  stage.end("the traffic has ended");
}

function flagsText(flags: Readonly<Record<string, string>>): string {
  return Object.entries(flags)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}
