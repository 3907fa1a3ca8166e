import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { peakTeller } from "./peak-memory.js";

/** What a run of a command has said with `--json`, and what it took. */
export interface CommandRun {
  readonly document: Readonly<Record<string, unknown>>;
  readonly milliseconds: number;
  /** The most memory that its process held, in MB. */
  readonly megabytes: number;
}

const program = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** Runs the packed command line in a process of its own. Its start is not among the milliseconds. */
export async function runCommand(...args: readonly string[]): Promise<CommandRun> {
  const preload = ["--import", peakTeller()];
  const idle = await timed([...preload, program, "--version"]);
  const run = await timed([...preload, program, ...args, "--json"]);
  const kilobytes = /peak (\d+)/.exec(run.stderr)?.[1];
  return {
    document: JSON.parse(run.stdout),
    milliseconds: run.milliseconds - idle.milliseconds,
    megabytes: Number(kilobytes) / 1_024,
  };
}

async function timed(args: readonly string[]) {
  const began = performance.now();
  const options = { env: { PATH: process.env.PATH }, maxBuffer: 64 * 1_024 * 1_024 };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, options);
  return { stdout, stderr, milliseconds: performance.now() - began };
}
