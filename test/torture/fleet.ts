import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Answered, FromBot, StartOrder, ToBot, TrapOrder } from "./orders.js";
import type { Request } from "./requests.js";

const here = path.dirname(fileURLToPath(import.meta.url));
const repository = path.join(here, "../..");
const spares = 2;
const patienceMs = 90_000;

/** Compiles the bot into a directory, so that a process starts quickly. */
export function compileBot(scratch: string): string {
  const out = path.join(scratch, "bot");
  mkdirSync(out);
  symlinkSync(path.join(repository, "node_modules"), path.join(scratch, "node_modules"));
  writeFileSync(path.join(scratch, "package.json"), '{ "type": "module" }');
  const files =
    `actor added-columns application bot caller console documents lane log messages model names peers profiles queries random
    requests statements teams`.split(/\s+/);
  const options = ["--noCheck", "--noResolve", "--ignoreConfig", "--module", "nodenext", "--target", "es2022"];
  const compiler = path.join(repository, "node_modules/typescript/bin/tsc");
  const sources = files.map((file) => path.join(here, `${file}.ts`));
  execFileSync(process.execPath, [compiler, ...options, "--outDir", out, ...sources], { stdio: "pipe" });
  return path.join(out, "bot.js");
}

const noneAnswered: Answered = { writes: 0, services: 0 };

/** A bot that did not do what it was told to. */
export class BotError extends Error {}

/** A process that can be a bot, again and again until it is killed. */
export class BotProcess {
  readonly #child: ChildProcess;
  readonly #listeners = new Set<(message: FromBot) => void>();
  readonly ended: Promise<void>;
  alive = true;
  /** What the current bot has had answered. */
  answered: Answered = noneAnswered;
  #asked = 0;
  ready: Promise<void>;
  output = "";

  constructor(script: string, dist: string) {
    this.#child = fork(script, [dist], { stdio: ["ignore", "pipe", "pipe", "ipc"], execArgv: [] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (text: Buffer) => {
        this.output = (this.output + text.toString()).slice(-4_000);
      });
    this.#child.on("error", () => {});
    this.ended = new Promise((resolve) =>
      this.#child.once("exit", () => {
        this.alive = false;
        resolve();
      }),
    );
    this.#child.on("message", (message: FromBot) => {
      if (message.is === "answered") this.answered = { writes: message.writes, services: message.services };
      for (const listener of this.#listeners) listener(message);
    });
    this.ready = this.wait("ready").then(
      () => undefined,
      () => Promise.reject(new Error(`a bot could not be started: ${this.output}`)),
    );
    this.ready.catch(() => {});
  }

  send(order: ToBot): void {
    if (this.alive && this.#child.connected) this.#child.send(order, () => {});
  }

  async start(order: StartOrder): Promise<void> {
    await this.ready;
    this.answered = noneAnswered;
    const started = this.wait("started");
    this.send(order);
    await started;
  }

  /** Closes the database in good order; the process stays for another bot. A deadly trap may strike first. */
  async stop(): Promise<void> {
    const stopped = this.wait("stopped").catch((error: unknown) => {
      if (this.#child.signalCode !== "SIGKILL") throw error;
    });
    this.send({ do: "stop" });
    await stopped;
  }

  trap(order: TrapOrder): Promise<FromBot> {
    const trapped = this.wait("trapped");
    this.send(order);
    return trapped;
  }

  /** Has it make one call. Rejects with the call's error code. */
  async ask(request: Request): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const number = this.#asked++;
    const told = this.#until((message) => message.is === "told" && message.number === number, "an answer");
    this.send({ do: "ask", number, request });
    const message = await told;
    if (message.is !== "told") throw new Error("the answer is none");
    if ("rows" in message.reply) return message.reply.rows;
    throw Object.assign(new Error(message.reply.message), { code: message.reply.code });
  }

  /** kill -9 */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.alive) this.#child.kill(signal);
  }

  /** The next message of that kind. Rejects when the process ends, or says nothing for a long time. */
  wait(...kinds: readonly FromBot["is"][]): Promise<FromBot> {
    return this.#until((message) => kinds.includes(message.is), kinds.join(", "));
  }

  #until(isMeant: (message: FromBot) => boolean, what: string): Promise<FromBot> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(late);
        this.#listeners.delete(listener);
        settle();
      };
      const listener = (message: FromBot) => {
        if (isMeant(message)) finish(() => resolve(message));
      };
      const late = setTimeout(
        () => finish(() => reject(new BotError(`a bot did not say ${what} in time`))),
        patienceMs,
      );
      this.#listeners.add(listener);
      this.ended.then(() => finish(() => reject(new BotError(`a bot ended before it said ${what}: ${this.output}`))));
    });
  }
}

/** Processes on call, started ahead of need. */
export class Fleet {
  readonly #script: string;
  readonly #dist: string;
  readonly #idle: BotProcess[] = [];
  readonly #all = new Set<BotProcess>();
  /** A stopped process would not notice that its parent has gone. */
  readonly #killAll = () => {
    for (const bot of this.#all) bot.signal("SIGKILL");
  };

  constructor(script: string, dist: string) {
    this.#script = script;
    this.#dist = dist;
    process.once("exit", this.#killAll);
    this.#fill();
  }

  take(): BotProcess {
    const taken = this.#idle.shift() ?? this.#spawn();
    this.#fill();
    return taken.alive ? taken : this.take();
  }

  giveBack(bot: BotProcess): void {
    if (bot.alive) this.#idle.unshift(bot);
  }

  async end(): Promise<void> {
    process.removeListener("exit", this.#killAll);
    const running = [...this.#all].filter(({ alive }) => alive);
    for (const bot of running) bot.signal("SIGKILL");
    await Promise.race([Promise.all(running.map(({ ended }) => ended)), sleep(5_000)]);
  }

  #fill(): void {
    while (this.#idle.length < spares) this.#idle.push(this.#spawn());
  }

  #spawn(): BotProcess {
    const bot = new BotProcess(this.#script, this.#dist);
    this.#all.add(bot);
    bot.ended.then(() => this.#all.delete(bot));
    return bot;
  }
}
