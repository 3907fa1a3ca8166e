import { setTimeout as sleep } from "node:timers/promises";
import type { Engine } from "../../src/engines/engine.js";
import type { PostgresServer } from "../../test/support/postgres.js";
import type { Fleet } from "./fleet.js";
import type { Ledger } from "./ledger.js";
import type { Report } from "./protocol.js";
import type { Moment, Screen } from "./screen.js";
import type { Traffic } from "./traffic.js";

export interface StageParts {
  readonly screen: Screen;
  readonly fleet: Fleet;
  readonly ledger: Ledger;
  readonly traffic: Traffic;
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
/** A line is printed so often while so many rows are owed. */
const showEveryMs = 400;
const manyRows = 100;
/** With traffic there is always something on its way: after so long, what was written within that time counts as nothing. */
const settleMs = 3_000;
const patienceMs = 120_000;

/** What the steps work with: the bots, the databases, and the screen that follows them. */
export class Stage {
  readonly parts: StageParts;
  readonly #began = Date.now();
  #step = 0;
  #shown = 0;
  #isQuiet = false;
  /** How many writes had been acknowledged at the looks of the last seconds, the oldest first. */
  readonly #looks: { readonly at: number; readonly acknowledged: number }[] = [];

  constructor(parts: StageParts) {
    this.parts = parts;
  }

  get seconds(): number {
    return (Date.now() - this.#began) / 1_000;
  }

  /** `command` is what an operator does now. */
  begin(title: string, command = ""): void {
    this.#step += 1;
    this.parts.screen.step(this.#step, title, command);
    this.#pause();
  }

  /** The step's last line. */
  end(note = ""): void {
    this.parts.screen.moment({ ...this.#moment(), pauseMs: this.#pause() }, note);
  }

  /** A line with how things stand now. */
  say(note: string): void {
    this.parts.screen.moment(this.#moment(), note);
    this.#shown = Date.now();
  }

  /** A rolling restart with other flags. */
  async roll(flags: Readonly<Record<string, string>>): Promise<number> {
    return this.#watching(this.parts.fleet.roll({ ...this.parts.env, ...flags }));
  }

  /** Lets the traffic run for a while. */
  async pass(): Promise<void> {
    await this.#watching(sleep(this.parts.pauseMs));
  }

  /** Waits until the other side has everything that it takes. */
  async caughtUp(): Promise<Report> {
    const began = Date.now();
    return this.until("the other side to catch up", ({ owed, refused }) => {
      if (owed === null) return false;
      const onItsWay = Date.now() - began > settleMs && !this.#isQuiet ? this.#justWritten() : 0;
      return owed - refused.length <= onItsWay;
    });
  }

  /** Waits for a report of the bot, made from now on, that says so. */
  async until(what: string, holds: (report: Report) => boolean): Promise<Report> {
    const began = Date.now();
    for (;;) {
      const { report } = this.parts.fleet;
      if (report !== null && report.at >= began && holds(report)) return report;
      if (Date.now() - began > patienceMs)
        throw new Error(`waited ${patienceMs / 1_000} s in vain for ${what}: ${JSON.stringify(report)}`);
      await this.#look();
    }
  }

  /** kill -9 while a call is under way. */
  async kill(): Promise<void> {
    const { fleet, ledger } = this.parts;
    const open = ledger.unanswered;
    do {
      await new Promise(setImmediate);
      ledger.catchUp();
    } while (ledger.unanswered === open);
    await fleet.kill();
  }

  /** Ends the traffic. */
  async quiet(): Promise<void> {
    await this.parts.traffic.stop();
    this.#isQuiet = true;
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
    const moment = this.#moment();
    if ((moment.owed ?? 0) > manyRows && Date.now() - this.#shown > showEveryMs) this.say("");
    else this.parts.screen.live(moment);
  }

  #moment(): Moment {
    const { ledger, fleet } = this.parts;
    ledger.catchUp();
    const { primary = null, owed = null } = fleet.report ?? {};
    this.#looks.push({ at: Date.now(), acknowledged: ledger.acknowledged });
    while ((this.#looks[0]?.at ?? 0) < Date.now() - settleMs) this.#looks.shift();
    return { time: Date.now() - this.#began, primary, acknowledged: ledger.acknowledged, owed };
  }

  #justWritten(): number {
    const { acknowledged } = this.parts.ledger;
    return acknowledged - (this.#looks[0]?.acknowledged ?? acknowledged);
  }

  #pause(): number {
    return this.parts.ledger.takeLongestPause(Date.now());
  }
}
