import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { runCommand } from "../command.js";
import type { CopyLoopReport } from "../copy-loop.js";
import { atLeast, atMost, type Figure, type Measure, median } from "../harness.js";
import { messagesFrom } from "../messages.js";
import { makePlainTable, plainTableInPostgres } from "../plain-table.js";
import { fillSqlite, RawPostgres, rawSqlite } from "../raw.js";
import { environmentOf, type Pair, type Scene } from "../scene.js";

const rows = 300_000;
const manyRows = 3_000_000;
const messageRows = 60_000;

/**
 * How fast rows go from SQLite to PostgreSQL, against PostgreSQL's own tool with a file that is ready; in turns, into the same table. Of
 * the two only copy ends with ANALYZE, so psql is measured with and without it.
 */
export const copying: Measure = {
  name: "copy",
  async run(scene) {
    const plain = await plainPair(scene, scene.count(rows));
    const many = await plainPair(scene, scene.count(manyRows));
    return [
      ...(await againstOthers(scene, plain, "plain", "a plain table", scene.count(rows), 0.9)),
      ...(await againstOthers(scene, await messagesPair(scene), "messages", "messages", scene.count(messageRows), 0.8)),
      await memoryOf(plain, scene.count(rows)),
      await memoryOf(many, scene.count(manyRows)),
      await eventLoop(scene),
    ];
  },
};

async function plainPair(scene: Scene, count: number): Promise<Pair> {
  const pair = { file: scene.newFile(), url: await scene.server.createDatabase() };
  await makePlainTable(pair.file, count);
  await asked(pair, plainTableInPostgres);
  return pair;
}

async function messagesPair(scene: Scene): Promise<Pair> {
  const pair = { file: await scene.sqliteFile(), url: await scene.postgresUrl() };
  const client = await rawSqlite(pair.file);
  await fillSqlite(client, messagesFrom(7), scene.count(messageRows));
  client.close();
  return pair;
}

async function againstOthers(
  scene: Scene,
  pair: Pair,
  table: string,
  title: string,
  count: number,
  target: number,
): Promise<Figure[]> {
  const csv = join(dirname(pair.file), `${table}.csv`);
  const copyTable = () => runCommand("copy", "--sqlite", pair.file, "--pg", pair.url, "--tables", table);
  await copyTable();
  await psql(pair.url, `\\copy ${table} TO '${csv}' CSV`);
  const start = await psql(pair.url, "SELECT 1");
  const loader = table === "plain" ? await pgloader() : null;
  const times = { copy: [] as number[], psql: [] as number[], analyzed: [] as number[], pgloader: [] as number[] };
  for (let round = 0; round < scene.count(5); round++) {
    await emptied(pair, table);
    const loaded = (await psql(pair.url, `\\copy ${table} FROM '${csv}' CSV`)) - start;
    times.psql.push(loaded);
    times.analyzed.push(loaded + (await psql(pair.url, `ANALYZE ${table}`)) - start);
    await emptied(pair, table);
    times.copy.push((await copyTable()).milliseconds);
    if (loader === null) continue;
    await emptied(pair, table);
    times.pgloader.push(await loader(pair));
  }
  const ratio = (other: readonly number[]) =>
    median(other.map((time, round) => time / (times.copy[round] ?? Number.NaN)));
  const rate = (name: "copy" | "psql" | "pgloader") =>
    `${name} ${Math.round((count * 1_000) / median(times[name])).toLocaleString("en")} rows/s`;
  const detail = `${count.toLocaleString("en")} rows: ${rate("copy")}, ${rate("psql")}`;
  const analyzing = Math.round(median(times.analyzed.map((time, round) => time - (times.psql[round] ?? 0))));
  const figures = [
    atLeast(`copy of ${title}, rows/s, against psql \\copy of ready CSV`, ratio(times.psql), target, detail),
    atLeast(
      "the same against psql \\copy and ANALYZE, with which copy ends, too",
      ratio(times.analyzed),
      target,
      `ANALYZE ${analyzing} ms`,
    ),
  ];
  if (loader !== null)
    figures.push(atLeast(`the same against pgloader`, ratio(times.pgloader), 2.5, `${detail}, ${rate("pgloader")}`));
  return figures;
}

async function memoryOf(pair: Pair, count: number): Promise<Figure> {
  await emptied(pair, "plain");
  const { megabytes, milliseconds } = await runCommand("copy", "--sqlite", pair.file, "--pg", pair.url);
  const detail = `${Math.round((count * 1_000) / milliseconds).toLocaleString("en")} rows/s`;
  return atMost(`memory of copy, ${count.toLocaleString("en")} rows`, megabytes, 250, detail, " MB");
}

/** A bot's own process copies all that it owes, while the bot goes on. */
async function eventLoop(scene: Scene): Promise<Figure> {
  const pair = await scene.pair();
  const client = await rawSqlite(pair.file);
  await fillSqlite(client, messagesFrom(7), scene.count(messageRows));
  client.close();
  const program = fileURLToPath(new URL("../copy-loop.ts", import.meta.url));
  const env = { PATH: process.env.PATH, ...environmentOf(pair, []) };
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", program], { env });
  const { idleMs, busyMs, copied } = JSON.parse(stdout) as CopyLoopReport;
  const detail = `idle ${idleMs.toFixed(1)} ms, busy ${busyMs.toFixed(1)} ms, ${copied.toLocaleString("en")} rows of a pair`;
  return atMost(
    "a copy in a bot's process: p99.9 of timer delay beyond idle",
    Math.max(0, busyMs - idleMs),
    50,
    detail,
    " ms",
  );
}

async function emptied(pair: Pair, table: string): Promise<void> {
  await asked(pair, `TRUNCATE ${table}`);
  await asked(pair, "CHECKPOINT");
}

async function asked({ url }: Pair, text: string): Promise<void> {
  const server = new RawPostgres(url);
  await server.query(text);
  await server.close();
}

/** Milliseconds of one run of PostgreSQL's own client, which has to be installed. */
async function psql(url: string, command: string): Promise<number> {
  const began = performance.now();
  await promisify(execFile)("psql", [url, "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--command", command]);
  return performance.now() - began;
}

/** Milliseconds of one run of pgloader on the same file; null where it is not installed. */
async function pgloader(): Promise<((pair: Pair) => Promise<number>) | null> {
  const isThere = await promisify(execFile)("pgloader", ["--version"]).then(
    () => true,
    () => false,
  );
  if (!isThere) return null;
  return async ({ file, url }) => {
    const began = performance.now();
    await promisify(execFile)("pgloader", ["--with", "data only", `sqlite://${file}`, url]);
    return performance.now() - began;
  };
}
