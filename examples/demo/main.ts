import { type Arguments, readArguments, UsageError, usage } from "./arguments.js";
import { ChatFileError, checkChatFile, playChat } from "./chat-file.js";
import { Fleet } from "./fleet.js";
import { count, plural, Screen } from "./screen.js";
import { Stage } from "./stage.js";
import { steps } from "./steps.js";
import { seeded, smallTalk, Traffic, talkers } from "./traffic.js";
import { countedMessages, judge, show } from "./verdict.js";
import { Workshop } from "./workshop.js";

/** Somebody has asked to stop. */
class Interrupted extends Error {}

/** How many messages there are before, how far apart new ones come, and how long a step lasts that only lets time pass. */
const paces = {
  whole: { oldMessages: 3_000, betweenMs: 30, pauseMs: 1_500 },
  quick: { oldMessages: 1_000, betweenMs: 100, pauseMs: 200 },
} as const;

/** Exit status: 0 both databases hold the same and nothing was lost, 3 they do not, 2 wrong usage, 1 it could not be told, 130 stopped. */
process.exitCode = await main();

async function main(): Promise<number> {
  const screen = new Screen(process.stdout, process.env);
  const abort = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => abort.abort(new Interrupted()));
  try {
    const given = readArguments(process.argv.slice(2));
    if (given !== null) return await run(given, screen, abort);
    screen.line(usage);
    return 0;
  } catch (error) {
    return explain(abort.signal.aborted ? abort.signal.reason : error, screen);
  }
}

function explain(error: unknown, screen: Screen): number {
  if (error instanceof Interrupted) screen.line("stopped");
  else if (error instanceof UsageError) process.stderr.write(`${error.message}\n\n${usage}\n`);
  else if (error instanceof ChatFileError) process.stderr.write(`${error.message}\n`);
  else process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  if (error instanceof Interrupted) return 130;
  return error instanceof UsageError || error instanceof ChatFileError ? 2 : 1;
}

async function run(given: Arguments, screen: Screen, abort: AbortController): Promise<number> {
  const who = given.chat === null ? talkers : await checkChatFile(given.chat);
  const { oldMessages, betweenMs, pauseMs } = given.quick ? paces.quick : paces.whole;
  const workshop = await Workshop.open(oldMessages);
  const failed = (error: Error) => abort.abort(error);
  const fleet = new Fleet(workshop.logFile, failed);
  const random = seeded(given.seed);
  const messages = given.chat === null ? smallTalk(random) : playChat(given.chat);
  const traffic = new Traffic(messages, betweenMs, random, (message, extra) => fleet.deliver(message, extra));
  try {
    await introduce(workshop, who, given, screen);
    const counted = await countedMessages(workshop.sqlite);
    const { env, ledger, server, sqlite } = workshop;
    const stage = new Stage({
      env,
      ledger,
      server,
      sqlite,
      traffic,
      screen,
      fleet,
      signal: abort.signal,
      pauseMs,
    });
    traffic.start(failed);
    for (const step of steps) await step(stage);
    await fleet.stop();
    return await conclude(workshop, counted, stage, screen);
  } finally {
    await traffic.stop();
    await fleet.kill();
    await workshop.close();
  }
}

async function introduce(
  workshop: Workshop,
  { users, channels }: { users: number; channels: number },
  { seed, chat }: Arguments,
  screen: Screen,
): Promise<void> {
  const { server } = workshop;
  const oldRows = await workshop.countRows();
  const source = chat === null ? `seed ${seed}` : `${chat}, seed ${seed}`;
  screen.line(screen.paint("bold", "dualdb: a bot moves from SQLite to PostgreSQL and back while it works"));
  screen.line(`PostgreSQL ${server.version} (${server.kind}), ${count(oldRows)} old rows in SQLite`);
  screen.line(`traffic of ${plural(users, "user")} in ${plural(channels, "channel")} (${source})`);
  screen.line();
  screen.heads();
}

async function conclude(
  workshop: Workshop,
  counted: ReadonlyMap<string, number>,
  stage: Stage,
  screen: Screen,
): Promise<number> {
  stage.begin("Both databases, row by row");
  const { ledger } = workshop;
  ledger.catchUp();
  const verdict = await judge(workshop.sqlite, workshop.postgres, ledger, counted);
  show(verdict, screen);
  screen.line();
  const failed = [...ledger.failures.values()].reduce((sum, number) => sum + number, 0);
  for (const [code, number] of ledger.failures) screen.line(`    calls that failed with ${code}: ${count(number)}`);
  screen.line(`    acknowledged writes: ${count(ledger.acknowledged)}`);
  screen.line(`    calls cut off by kill -9: ${count(ledger.unanswered)}`);
  screen.line(`    calls that failed: ${count(failed)}`);
  screen.line(`    reads that missed an acknowledged write: ${count(ledger.stale)}`);
  screen.line(`    acknowledged writes lost: ${count(verdict.lost)}`);
  screen.line();
  const isGood = verdict.comparison.equal && verdict.lost === 0 && ledger.stale === 0;
  const result = verdict.comparison.equal ? "both databases hold the same" : "the databases differ";
  screen.line(`${screen.paint(isGood ? "green" : "red", result)}  ${stage.seconds.toFixed(0)} s`);
  return isGood ? 0 : 3;
}
