import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import {
  type Binaries,
  type BinariesKind,
  findBinaries,
  programPath,
  reachable,
  unprivileged,
} from "./postgres-binaries.js";
import { give, initialise, passwordOf, serverArguments } from "./postgres-cluster.js";

export interface PostgresOptions {
  /** Whose programs; without it the machine's own, else those of the development dependency. */
  readonly binaries?: BinariesKind;
  /** Off, since tests do not survive a power cut; on for figures that mean something. */
  readonly fsync?: boolean;
  /** `scram-sha-256` asks for `password`; `trust` lets everybody in. */
  readonly auth?: "trust" | "scram-sha-256";
  readonly password?: string;
  /** Serve TLS with a certificate for `localhost` that is its own authority. Needs openssl. */
  readonly tls?: boolean;
  /** Further settings of the server, such as `max_connections`. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

/** A PostgreSQL of our own on 127.0.0.1: in a temporary directory, gone with `stop()` or with the process that started it. */
export interface PostgresServer {
  readonly kind: BinariesKind;
  readonly port: number;
  /** The postmaster's process id; another one after a restart. */
  readonly pid: number;
  /** For example `15.13`. */
  readonly version: string;
  /** PEM text of the certificate; undefined without `tls`. */
  readonly ca: string | undefined;
  readonly user: string;
  url(database?: string): string;
  /** A new, empty database; resolves to its URL. */
  createDatabase(): Promise<string>;
  /** Stops like a power cut: open connections break off, nothing is flushed. `restart()` brings it back with its data. */
  crash(): Promise<void>;
  /** Starts it again on the same port, after a crash or by a fast shutdown. */
  restart(): Promise<void>;
  /** Starts it again as a standby, which takes no writes and whose primary sends nothing; `restart()` makes a primary of it. */
  becomeStandby(): Promise<void>;
  /** Stops the clock of the postmaster and its sessions: connections stay open and say nothing. */
  freeze(): void;
  thaw(): void;
  /** Ends the server and removes its directory. Can be called twice. */
  stop(): Promise<void>;
}

/** Starts a real PostgreSQL. Rejects with the server's own log when it does not come up. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const directory = mkdtempSync(path.join(tmpdir(), "dualdb-postgres-"));
  try {
    give(directory);
    const binaries = reachable(chooseBinaries(options.binaries), directory);
    initialise(binaries, directory, options);
    return await LocalPostgres.start(binaries, directory, options);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

/** The kinds of binaries that this machine has, the preferred first. */
export function availableBinaries(): BinariesKind[] {
  return (["installed", "embedded"] as const).filter((kind) => findBinaries(kind) !== null);
}

/** Creates an empty database with a random name on the server of that URL, of the server's locale or of that one; resolves to its URL. */
export async function createDatabaseAt(serverUrl: string, prefix = "test", locale?: string): Promise<string> {
  const name = `${prefix}_${randomBytes(8).toString("hex")}`;
  const own = locale === undefined ? "" : ` LOCALE '${locale}'`;
  await runAt(serverUrl, `CREATE DATABASE ${name} TEMPLATE template0${own}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** Runs one statement on a connection of its own. */
export async function runAt(url: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end();
  }
}

class LocalPostgres implements PostgresServer {
  readonly user = "postgres";
  readonly port: number;
  readonly ca: string | undefined;
  #process: ChildProcess | null = null;
  #watchdog: ChildProcess | null = null;
  #version = "";
  readonly #binaries: Binaries;
  readonly #directory: string;
  readonly #options: PostgresOptions;
  readonly #killAtExit = () => this.#signal("SIGQUIT");

  static async start(binaries: Binaries, directory: string, options: PostgresOptions): Promise<LocalPostgres> {
    const server = new LocalPostgres(binaries, directory, options, await freePort());
    server.#watchdog = startWatchdog(directory);
    process.once("exit", server.#killAtExit);
    try {
      await server.#launch();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  private constructor(binaries: Binaries, directory: string, options: PostgresOptions, port: number) {
    this.#binaries = binaries;
    this.#directory = directory;
    this.#options = options;
    this.port = port;
    this.ca = options.tls ? readFileSync(path.join(directory, "server.crt"), "utf8") : undefined;
  }

  get kind(): BinariesKind {
    return this.#binaries.kind;
  }

  get pid(): number {
    if (this.#process?.pid === undefined) throw new Error("the server is not running");
    return this.#process.pid;
  }

  get version(): string {
    return this.#version;
  }

  url(database = "postgres"): string {
    const password = this.#options.auth === "scram-sha-256" ? `:${encodeURIComponent(passwordOf(this.#options))}` : "";
    return `postgres://${this.user}${password}@127.0.0.1:${this.port}/${database}`;
  }

  createDatabase(): Promise<string> {
    return createDatabaseAt(this.url());
  }

  async crash(): Promise<void> {
    await this.#end("SIGQUIT");
  }

  async restart(): Promise<void> {
    await this.#end("SIGINT");
    rmSync(this.#standbySignal, { force: true });
    await this.#launch();
  }

  async becomeStandby(): Promise<void> {
    await this.#end("SIGINT");
    writeFileSync(this.#standbySignal, "");
    give(this.#standbySignal);
    await this.#launch();
  }

  freeze(): void {
    process.kill(this.pid, "SIGSTOP");
    for (const pid of familyOf(this.pid)) signalIfThere(pid, "SIGSTOP");
  }

  thaw(): void {
    for (const pid of familyOf(this.pid)) signalIfThere(pid, "SIGCONT");
  }

  async stop(): Promise<void> {
    process.removeListener("exit", this.#killAtExit);
    await this.#end("SIGQUIT");
    this.#watchdog?.stdin?.end("stopped\n");
    this.#watchdog = null;
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }

  async #launch(): Promise<void> {
    const log = openSync(this.#logFile, "a");
    const child = spawn(
      programPath(this.#binaries, "postgres"),
      serverArguments(this.#directory, this.port, this.#options),
      {
        ...unprivileged,
        cwd: this.#directory,
        env: this.#binaries.environment,
        stdio: ["ignore", log, log],
        detached: true,
      },
    );
    closeSync(log);
    child.on("error", () => {});
    child.unref();
    this.#process = child;
    await this.#ready(child);
  }

  async #ready(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + 30_000;
    for (;;) {
      try {
        const [row] = await runAt(this.url(), "SHOW server_version");
        this.#version = shortVersion(row);
        return;
      } catch (error) {
        if (hasEnded(child) || Date.now() > deadline) throw this.#failure(error);
        await delay(20);
      }
    }
  }

  #failure(cause: unknown): Error {
    return new Error(`PostgreSQL did not start; its log:\n${readFileSync(this.#logFile, "utf8").slice(-4000)}`, {
      cause,
    });
  }

  get #logFile(): string {
    return path.join(this.#directory, "server.log");
  }

  get #standbySignal(): string {
    return path.join(this.#directory, "data", "standby.signal");
  }

  async #end(signal: "SIGQUIT" | "SIGINT"): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || hasEnded(child)) return;
    // Else a program that waits for nothing but this would end before it.
    child.ref();
    const ended = new Promise((resolve) => child.once("exit", resolve));
    for (const pid of familyOf(child.pid)) signalIfThere(pid, "SIGCONT");
    child.kill(process.platform === "win32" ? "SIGKILL" : signal);
    await ended;
  }

  #signal(signal: NodeJS.Signals): void {
    this.#process?.kill("SIGCONT");
    this.#process?.kill(signal);
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

/** A process and its children; ps is on every Unix. */
function familyOf(pid: number | undefined): number[] {
  if (pid === undefined || process.platform === "win32") return [];
  const table = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  const children = table
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === pid)
    .map(([child]) => child as number);
  return [pid, ...children];
}

/** A session may end between the listing and the signal. */
function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/**
 * Ends the server when this process dies without a word, as by kill -9: the shell's standard input closes then. `stop()` writes a
 * line first, which tells it to do nothing.
 */
function startWatchdog(directory: string): ChildProcess | null {
  if (process.platform === "win32") return null;
  const script =
    'read line && exit 0; pid=$(head -n 1 "$0/data/postmaster.pid") && { kill -CONT "$pid"; kill -QUIT "$pid"; sleep 1; }; rm -rf "$0"';
  const child = spawn("/bin/sh", ["-c", script, directory], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
    cwd: "/",
  });
  child.on("error", () => {});
  child.stdin?.on("error", () => {});
  child.unref();
  if (child.stdin !== null && "unref" in child.stdin && typeof child.stdin.unref === "function") child.stdin.unref();
  return child;
}

function chooseBinaries(kind: BinariesKind | undefined): Binaries {
  const found = kind === undefined ? (findBinaries("installed") ?? findBinaries("embedded")) : findBinaries(kind);
  if (found !== null) return found;
  throw new Error(
    `no PostgreSQL binaries (${kind ?? "installed or embedded"}): install PostgreSQL, or run npm ci with optional dependencies`,
  );
}

/** A port of 127.0.0.1 that nobody listens on now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

/** `15.13` of what SHOW server_version says, which may name the distribution too. */
export function shortVersion(row: Record<string, unknown> | undefined): string {
  return String(row?.server_version).split(" ")[0] ?? "";
}
