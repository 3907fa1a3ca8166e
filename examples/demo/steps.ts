import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { sql } from "dualdb";
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
  stage.begin("the bot on SQLite, over an old bot's file");
  await stage.roll({});
  await stage.pass();
  stage.end();
}

async function schema(stage: Stage): Promise<void> {
  stage.begin("the schema, beside the running bot", "npx dualdb migrate");
  const command = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
  const env = { ...stage.parts.env, NO_COLOR: "1" };
  const { stdout } = await promisify(execFile)(process.execPath, [command, "migrate"], { env });
  const applied = stdout.split("\n").filter((line) => line.includes("applied"));
  stage.end(`${applied.length} files applied`);
}

async function shadow(stage: Stage): Promise<void> {
  stage.begin("PostgreSQL follows; the old rows are simply owed", flagsText(shadowOn));
  await stage.roll(shadowOn);
  const { refused } = await stage.until("nothing owed", ({ owed, refused }) => owed !== null && owed <= refused.length);
  if (refused.length > 0) await mend(stage, refused);
  stage.end("nothing owed");
}

/** An old row that no PostgreSQL would take holds up nobody, and is named until somebody mends it. */
async function mend(stage: Stage, refused: readonly { table: string; key: string; reason: string }[]): Promise<void> {
  for (const { table, key, reason } of refused) stage.say(`refused: ${table} ${key} (${reason})`);
  await stage.parts.sqlite.write([sql`UPDATE queries SET result_count = NULL WHERE typeof(result_count) = 'text'`]);
  await stage.until("the mended row", ({ owed, refused }) => owed === 0 && refused.length === 0);
  stage.say("mended on a console");
}

async function outage(stage: Stage): Promise<void> {
  stage.begin("PostgreSQL crashes and comes back");
  await stage.parts.server.crash();
  await stage.pass();
  stage.say("down: the bot has not noticed");
  await stage.parts.server.restart();
  await stage.until("PostgreSQL to have caught up", ({ owed }) => owed === 0);
  stage.end("caught up");
}

async function reads(stage: Stage): Promise<void> {
  stage.begin("PostgreSQL answers reads", flagsText(readsOn));
  await stage.roll(readsOn);
  await stage.pass();
  const { reads } = await stage.until("a read of PostgreSQL", ({ reads }) => reads.fenced > 0);
  stage.end(`${count(reads.fenced)} reads from PostgreSQL, ${count(reads.owed + reads.failedOver)} from SQLite`);
}

async function primary(stage: Stage): Promise<void> {
  stage.begin("PostgreSQL is primary, SQLite follows", flagsText(primaryOn));
  await stage.roll(primaryOn);
  await stage.pass();
  await stage.until("PostgreSQL to be primary", ({ primary }) => primary === "postgres");
  stage.end();
}

async function killed(stage: Stage): Promise<void> {
  stage.begin("kill -9 of the bot in the middle of writes, and a restart");
  await stage.parts.fleet.kill();
  stage.say("killed");
  await stage.roll(primaryOn);
  await stage.pass();
  stage.end("running again");
}

async function alone(stage: Stage): Promise<void> {
  stage.begin("PostgreSQL alone; the journal keeps what SQLite is owed", flagsText(primaryAlone));
  await stage.roll(primaryAlone);
  await stage.pass();
  stage.end();
}

async function rollBack(stage: Stage): Promise<void> {
  stage.begin("roll-back: all flags unset");
  await stage.roll({});
  await stage.until("SQLite to be primary", ({ primary }) => primary === "sqlite");
  await stage.pass();
  stage.end();
}

async function again(stage: Stage): Promise<void> {
  stage.begin("the shadow once more, so that both hold the same", flagsText(shadowOn));
  await stage.roll(shadowOn);
  await stage.until("nothing owed", ({ owed }) => owed === 0);
  stage.end();
}

function flagsText(flags: Readonly<Record<string, string>>): string {
  return Object.entries(flags)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}
