import { type ChildProcess, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort, runAt } from "./postgres.js";
import { unprivileged } from "./postgres-binaries.js";

const program = [
  "/usr/sbin/pgbouncer",
  "/usr/bin/pgbouncer",
  "/opt/homebrew/bin/pgbouncer",
  "/usr/local/bin/pgbouncer",
].find(existsSync);

/** PgBouncer, which hands a server connection from client to client between transactions. */
export interface PgBouncer {
  readonly port: number;
  /** The same database, through PgBouncer. */
  url(databaseUrl: string): string;
  stop(): Promise<void>;
}

/** Whether this machine has PgBouncer. */
export const available: boolean = program !== undefined;

/** Starts PgBouncer in transaction mode in front of the server on that port of 127.0.0.1, with so few connections that they are shared. */
export async function startPgBouncer(serverPort: number, poolSize = 2): Promise<PgBouncer> {
  if (program === undefined) throw new Error("pgbouncer is not installed");
  const directory = mkdtempSync(path.join(tmpdir(), "dualdb-pgbouncer-"));
  const port = await freePort();
  const configuration = path.join(directory, "pgbouncer.ini");
  writeFileSync(configuration, settings(serverPort, port, poolSize));
  for (const entry of [directory, configuration]) {
    if (unprivileged.uid !== undefined && unprivileged.gid !== undefined)
      chownSync(entry, unprivileged.uid, unprivileged.gid);
  }
  const child = spawn(program, [configuration], {
    ...unprivileged,
    cwd: directory,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const log: Buffer[] = [];
  child.stderr.on("data", (bytes: Buffer) => log.push(bytes));
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const stop = async () => {
    process.removeListener("exit", kill);
    await end(child);
    rmSync(directory, { recursive: true, force: true });
  };
  await ready(child, port, log).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return { port, url: (databaseUrl) => withPort(databaseUrl, port), stop };
}

function settings(serverPort: number, port: number, poolSize: number): string {
  return [
    "[databases]",
    `* = host=127.0.0.1 port=${serverPort} user=postgres`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${port}`,
    "unix_socket_dir =",
    "auth_type = any",
    "pool_mode = transaction",
    "max_client_conn = 500",
    `default_pool_size = ${poolSize}`,
    "",
  ].join("\n");
}

function withPort(databaseUrl: string, port: number): string {
  const url = new URL(databaseUrl);
  url.port = String(port);
  return url.href;
}

async function ready(child: ChildProcess, port: number, log: Buffer[]): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    try {
      await runAt(`postgres://postgres@127.0.0.1:${port}/postgres`, "SELECT 1");
      return;
    } catch (error) {
      if (child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`pgbouncer did not start: ${Buffer.concat(log).toString()}`, { cause: error });
      }
      await delay(20);
    }
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}
