import type { Database } from "../../src/index.js";
import { atLeast, type Figure, type Measure, median, tidyUp } from "../harness.js";
import { messagesFrom } from "../messages.js";
import { fillPostgres, fillSqlite, RawPostgres, rawSqlite } from "../raw.js";
import type { Flag, Pair, Scene } from "../scene.js";

const owed = 20_000;

/** How fast the relay works off a journal, in each direction, into tables with all their indexes. */
export const catchUp: Measure = {
  name: "catch-up",
  async run(scene) {
    const times = { forward: [] as number[], back: [] as number[] };
    for (let round = 0; round < scene.count(5); round++) {
      const pair = await scene.pair();
      await fillFile(scene, pair);
      times.forward.push(await timeOf(scene, pair, "USE_POSTGRES_SHADOW"));
      await (await scene.open(pair, "USE_POSTGRES_PRIMARY")).close();
      await fillServer(scene, pair);
      times.back.push(await timeOf(scene, pair, "USE_POSTGRES_PRIMARY", "USE_POSTGRES_SHADOW"));
    }
    return [figure(scene, "SQLite → PostgreSQL", times.forward), figure(scene, "PostgreSQL → SQLite", times.back)];
  },
};

function figure(scene: Scene, direction: string, times: readonly number[]): Figure {
  const rows = scene.count(owed);
  const detail = `${rows.toLocaleString("en")} rows in ${times.map((time) => `${(time / 1_000).toFixed(2)} s`).join(", ")}`;
  return atLeast(`relay catching up, ${direction}`, (rows * 1_000) / median(times), 10_000, detail, " rows/s");
}

async function fillFile(scene: Scene, { file }: Pair): Promise<void> {
  const client = await rawSqlite(file);
  await fillSqlite(client, messagesFrom(5), scene.count(owed));
  client.close();
}

async function fillServer(scene: Scene, { url }: Pair): Promise<void> {
  const server = new RawPostgres(url);
  await fillPostgres(server, messagesFrom(6), scene.count(owed));
  await server.close();
}

/** From the beginning of open(), which starts the relay, to an empty journal, in milliseconds. */
async function timeOf(scene: Scene, pair: Pair, ...flags: readonly Flag[]): Promise<number> {
  await tidyUp();
  const began = performance.now();
  const database = await scene.open(pair, ...flags);
  await drained(database);
  const time = performance.now() - began;
  await database.close();
  return time;
}

async function drained(database: Database): Promise<void> {
  const { pending, quarantined } = await database.drain({ timeoutMs: 120_000 });
  if (pending + quarantined > 0) throw new Error(`${pending} rows pending, ${quarantined} refused: nothing to measure`);
}
