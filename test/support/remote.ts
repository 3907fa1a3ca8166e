import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { Services } from "../../src/services/deferred.js";

export interface Call {
  readonly id: number;
  readonly target: keyof Services | "database";
  readonly name: string;
  readonly input: readonly unknown[];
}

export interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly failure?: string;
}

const program = fileURLToPath(new URL("./remote-process.ts", import.meta.url));

/** A bot in a process of its own, gone when the test ends. */
export class RemoteBot {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #last = 0;

  static start(env: NodeJS.ProcessEnv): Promise<RemoteBot> {
    return RemoteBot.#start(env, process.execPath, []);
  }

  /** Without root's right to read and write what others may not: files are its own, and their modes hold for it, too. */
  static startPowerless(env: NodeJS.ProcessEnv): Promise<RemoteBot> {
    if (process.getuid?.() !== 0) return RemoteBot.start(env);
    const rights = ["--bounding-set", "-dac_override,-dac_read_search"];
    return RemoteBot.#start(env, "setpriv", [...rights, process.execPath]);
  }

  static async #start(env: NodeJS.ProcessEnv, execPath: string, before: readonly string[]): Promise<RemoteBot> {
    const execArgv = [...before, "--import", "tsx"];
    const child = fork(program, { execPath, execArgv, env: { PATH: process.env.PATH, ...env } });
    const bot = new RemoteBot(child);
    onTestFinished(() => bot.kill());
    await new Promise<void>((resolve) => bot.#waiting.set(0, () => resolve()));
    return bot;
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (reply: Reply) => {
      this.#waiting.get(reply.id)?.(reply);
      this.#waiting.delete(reply.id);
    });
  }

  /** Calls a function there. Rejects with its code and message. */
  async call(target: Call["target"], name: string, ...input: readonly unknown[]): Promise<unknown> {
    const id = ++this.#last;
    const replied = new Promise<Reply>((resolve) => this.#waiting.set(id, resolve));
    this.#child.send({ id, target, name, input } satisfies Call);
    const { value, failure } = await replied;
    if (failure !== undefined) throw new Error(failure);
    return value;
  }

  /** Saves so many messages there; their ids. */
  async many(count: number, prefix: string): Promise<string[]> {
    return (await this.call("database", "many", count, prefix)) as string[];
  }

  /** kill -9. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }
}
