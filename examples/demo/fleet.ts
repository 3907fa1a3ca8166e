import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { ChatMessage, Extra, News, Order, Report } from "./protocol.js";

const program = fileURLToPath(new URL("./bot.ts", import.meta.url));

/** How long an old and a new bot work side by side, as in a rolling deploy. */
const overlapMs = 500;
const openWithinMs = 30_000;
const stopWithinMs = 30_000;

/** One bot process. */
class Bot {
  readonly number: number;
  isOpen = false;
  report: Report | null = null;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #isWanted = true;
  #errors = "";

  constructor(number: number, logFile: string, env: NodeJS.ProcessEnv, failed: (error: Error) => void) {
    this.number = number;
    this.#child = fork(program, [logFile], { env, stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.#ended = once(this.#child, "exit");
    this.#child.stderr?.on("data", (text) => {
      this.#errors = (this.#errors + text).slice(-2_000);
    });
    this.#child.on("message", (news: News) => this.#take(news));
    this.#child.on("error", failed);
    this.#child.on("exit", (status) => {
      this.isOpen = false;
      if (this.#isWanted) failed(new Error(`bot ${number} ended with status ${status}:\n${this.#errors}`));
    });
  }

  tell(order: Order): void {
    this.#child.send(order, () => undefined);
  }

  /** It finishes what it has begun, and closes its database. */
  async stop(): Promise<void> {
    this.isOpen = false;
    this.#isWanted = false;
    if (this.hasEnded()) return;
    this.tell({ kind: "stop" });
    const inTime = await Promise.race([this.#ended.then(() => true), sleep(stopWithinMs, false, { ref: false })]);
    if (inTime) return;
    await this.kill();
    throw new Error(`bot ${this.number} did not stop within ${stopWithinMs / 1_000} s`);
  }

  async kill(): Promise<void> {
    this.isOpen = false;
    this.#isWanted = false;
    if (this.hasEnded()) return;
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  #take(news: News): void {
    if (news.kind === "open") this.isOpen = this.#isWanted;
    else this.report = news.report;
  }

  hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined;
  }
}

/** The bots that run now: one, or for a moment two. */
export class Fleet {
  readonly #logFile: string;
  readonly #failed: (error: Error) => void;
  #bots: Bot[] = [];
  #started = 0;
  #turn = 0;

  /** `failed` is told when a bot ends by itself. */
  constructor(logFile: string, failed: (error: Error) => void) {
    this.#logFile = logFile;
    this.#failed = failed;
  }

  /** The latest report of the newest bot that has made one. */
  get report(): Report | null {
    return this.#bots.findLast(({ report }) => report !== null)?.report ?? null;
  }

  /** Gives a message to one of the bots, in turn. False where none is open. */
  deliver(message: ChatMessage, extra: Extra): boolean {
    const open = this.#bots.filter(({ isOpen }) => isOpen);
    this.#turn += 1;
    const bot = open[this.#turn % open.length];
    bot?.tell({ kind: "message", message, extra });
    return bot !== undefined;
  }

  /** A rolling restart: a new bot opens with this environment beside the old one, which then stops. → the new one's number */
  async roll(env: NodeJS.ProcessEnv): Promise<number> {
    const old = this.#bots;
    this.#started += 1;
    const bot = new Bot(this.#started, this.#logFile, env, this.#failed);
    this.#bots = [...old, bot];
    await opened(bot);
    if (old.length > 0) await sleep(overlapMs);
    await Promise.all(old.map((each) => each.stop()));
    this.#bots = [bot];
    return bot.number;
  }

  /** kill -9, in the middle of whatever they do. */
  async kill(): Promise<void> {
    const bots = this.#bots;
    this.#bots = [];
    await Promise.all(bots.map((bot) => bot.kill()));
  }

  async stop(): Promise<void> {
    const bots = this.#bots;
    this.#bots = [];
    await Promise.all(bots.map((bot) => bot.stop()));
  }
}

async function opened(bot: Bot): Promise<void> {
  const deadline = Date.now() + openWithinMs;
  while (bot.report === null) {
    if (bot.hasEnded()) throw new Error(`bot ${bot.number} ended before it was open`);
    if (Date.now() > deadline) throw new Error(`bot ${bot.number} did not open within ${openWithinMs / 1_000} s`);
    await sleep(5);
  }
}
