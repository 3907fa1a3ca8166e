import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Measure } from "../harness.js";
import { RawPostgres } from "../raw.js";
import { environmentOf } from "../scene.js";
import type { LoopReport } from "../tight-loop.js";

const saves = 20_000;
const program = fileURLToPath(new URL("../tight-loop.ts", import.meta.url));

/** Whether a loop of saves with the shadow on leaves the process its memory and its event loop. In a process of its own. */
export const tightLoop: Measure = {
  name: "tight-loop",
  async run(scene) {
    const pair = await scene.pair();
    const count = scene.count(saves);
    const env = { PATH: process.env.PATH, ...environmentOf(pair, ["USE_POSTGRES_SHADOW"]) };
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", program, String(count)], {
      env,
    });
    const report = JSON.parse(stdout) as LoopReport;
    const server = scene.keep(new RawPostgres(pair.url));
    const mirrored = Number((await server.query("SELECT COUNT(*) AS count FROM messages"))[0]?.count);
    return figures(report, count, mirrored);
  },
};

function figures(report: LoopReport, count: number, mirrored: number) {
  const { idleMs, busyMs, rssMegabytes, savedMs, drainedMs } = report;
  const name = `${count.toLocaleString("en")} saves in a tight loop, shadow on`;
  const time = `saved in ${(savedMs / 1_000).toFixed(1)} s, mirrored ${(drainedMs / 1_000).toFixed(1)} s later`;
  return [
    {
      measure: `${name}: mirrored`,
      measured: mirrored.toLocaleString("en"),
      target: "all",
      met: mirrored === count,
      detail: time,
    },
    {
      measure: `${name}: largest RSS`,
      measured: `${Math.round(rssMegabytes)} MB`,
      target: "< 300 MB",
      met: rssMegabytes < 300,
      detail: "of the whole process, with the TypeScript loader of the benchmark",
    },
    {
      measure: `${name}: p99.9 of timer delay beyond idle`,
      measured: `${(busyMs - idleMs).toFixed(1)} ms`,
      target: "≤ 50 ms",
      met: busyMs - idleMs <= 50,
      detail: `idle ${idleMs.toFixed(1)} ms, busy ${busyMs.toFixed(1)} ms`,
    },
  ];
}
