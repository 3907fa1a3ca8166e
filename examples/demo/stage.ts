import { setTimeout as sleep } from "node:timers/promises";
import type { Engine } from "../../src/engines/engine.js";
import type { PostgresServer } from "../../test/support/postgres.js";
import type { Fleet } from "./fleet.js";
import type { Ledger } from "./ledger.js";
import type { Report } from "./protocol.js";
import { count, type Moment, type Screen } from "./screen.js";

export interface StageParts {
  readonly screen: Screen;
  readonly fleet: Fleet;
  readonly ledger: Ledger;
  readonly server: PostgresServer;
  /** The old bot's file, as a console would open it. */
  readonly sqlite: Engine;
  /** The bot's environment but for the flags. */
  readonly env: NodeJS.ProcessEnv;
  /** How long a step lasts that only lets time pass, in milliseconds. */
  readonly pauseMs: number;
  readonly signal: AbortSignal;
}

const lookEveryMs = 50;
const showEveryMs = 500;
const patienceMs = 60_000;

/** What the steps work with: the bots, the databases, and the screen that follows them. */
export class Stage {
  readonly parts: StageParts;
  readonly #began = Date.now();
  #step = 0;

  constructor(parts: StageParts) {
    this.parts = parts;
  }

  get seconds(): number {
    return (Date.now() - this.#began) / 1_000;
  }

  begin(title: string, flags = ""): void {
    this.#step += 1;
    this.parts.screen.step(this.#step, title, flags);
    this.#pause();
  }

  /** The step's last line: with the longest time in it between two acknowledged writes. */
  end(note = ""): void {
    const pause = this.parts.screen.paint("dim", `longest pause ${count(this.#pause())} ms`);
    this.say(note === "" ? pause : `${note}, ${pause}`);
  }

  /** A line with how things stand now. */
  say(note: string): void {
    this.parts.screen.moment(this.#moment(), note);
  }

  /** A rolling restart with other flags. */
  async roll(flags: Readonly<Record<string, string>>): Promise<number> {
    return this.#watching(this.parts.fleet.roll({ ...this.parts.env, ...flags }));
  }

  /** Lets the traffic run for a while. */
  async pass(times = 1): Promise<void> {
    await this.#watching(sleep(this.parts.pauseMs * times));
  }

  /** Waits for a report of the newest bot, made from now on, that says so; shows how things move meanwhile. */
  async until(what: string, holds: (report: Report) => boolean): Promise<Report> {
    const began = Date.now();
    let shown = began;
    for (;;) {
      const { report } = this.parts.fleet;
      if (report !== null && report.at >= began && holds(report)) return report;
      if (Date.now() - began > patienceMs) throw new Error(`waited ${patienceMs / 1_000} s in vain: ${what}`);
      await this.#look();
      if (Date.now() - shown < showEveryMs) continue;
      this.say("");
      shown = Date.now();
    }
  }

  async #watching<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const finished = work.finally(() => {
      done = true;
    });
    finished.catch(() => undefined);
    while (!done) await this.#look();
    return finished;
  }

  async #look(): Promise<void> {
    this.parts.signal.throwIfAborted();
    await sleep(lookEveryMs, undefined, { signal: this.parts.signal });
    this.parts.screen.live(this.#moment());
  }

  #moment(): Moment {
    const { ledger, fleet } = this.parts;
    ledger.catchUp();
    const { primary = null, owed = null } = fleet.report ?? {};
    return { time: Date.now() - this.#began, primary, acknowledged: ledger.acknowledged, owed };
  }

  #pause(): number {
    this.parts.ledger.catchUp();
    return this.parts.ledger.takeLongestPause(Date.now());
  }
}
