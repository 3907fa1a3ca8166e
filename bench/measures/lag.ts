import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../../src/index.js";
import { type Figure, type Measure, percentile } from "../harness.js";
import { messagesFrom } from "../messages.js";
import { RawPostgres } from "../raw.js";

/** How long after its acknowledgement a write is found on PostgreSQL, on a system that does nothing else. */
export const lag: Measure = {
  name: "lag",
  async run(scene) {
    const pair = await scene.pair();
    const database = await scene.open(pair, "USE_POSTGRES_SHADOW");
    await database.drain();
    const server = scene.keep(new RawPostgres(pair.url));
    const times: number[] = [];
    const next = messagesFrom(7);
    for (let write = 0; write < scene.count(500); write++) {
      times.push(await timeOf(database, server, next));
      await sleep(20);
    }
    return [figure(times, 50, 10), figure(times, 99, 50)];
  },
};

function figure(times: readonly number[], percent: number, limitMs: number): Figure {
  const time = percentile(times, percent);
  return {
    measure: `acknowledged write to mirrored row, idle system, p${percent}`,
    measured: `${time.toFixed(1)} ms`,
    target: `< ${limitMs} ms`,
    met: time < limitMs,
    detail: `${times.length} writes, the slowest ${Math.max(...times).toFixed(1)} ms`,
  };
}

async function timeOf(
  { messageService }: Database,
  server: RawPostgres,
  next: ReturnType<typeof messagesFrom>,
): Promise<number> {
  const id = await messageService.saveHumanMessage(next());
  const acknowledged = performance.now();
  for (;;) {
    const rows = await server.query("SELECT 1 FROM messages WHERE id = $1", [id]);
    if (rows.length > 0) return performance.now() - acknowledged;
  }
}
