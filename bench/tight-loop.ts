import { setTimeout as sleep } from "node:timers/promises";
import { delayDuring } from "./delay.js";
import { messagesFrom } from "./messages.js";
import { createDatabase } from "./package.js";
import { peakMegabytes } from "./peak-memory.js";

/** What the process of the tight loop writes to its standard output, as JSON. */
export interface LoopReport {
  /** 99.9th percentile of the timer's delay, in milliseconds. */
  readonly idleMs: number;
  readonly busyMs: number;
  readonly rssMegabytes: number;
  readonly savedMs: number;
  readonly drainedMs: number;
}

const idleForMs = 4_000;

const database = createDatabase();
await database.open();
const report = await run(Number(process.argv[2]));
await database.close();
process.stdout.write(JSON.stringify(report));

async function run(count: number): Promise<LoopReport> {
  const idleMs = await delayDuring(() => sleep(idleForMs));
  let [began, saved] = [0, 0];
  const busyMs = await delayDuring(async () => {
    began = performance.now();
    await save(count);
    saved = performance.now();
    await database.drain({ timeoutMs: 120_000 });
  });
  const drainedMs = performance.now() - saved;
  return { idleMs, busyMs, rssMegabytes: peakMegabytes(), savedMs: saved - began, drainedMs };
}

async function save(count: number): Promise<void> {
  const next = messagesFrom(8);
  for (let call = 0; call < count; call++) await database.messageService.saveHumanMessage(next());
}
