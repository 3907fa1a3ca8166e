import { setTimeout as sleep } from "node:timers/promises";
import { chunks } from "../../data/chunks.js";
import type { Table } from "../../data/table.js";
import { endIfAsked } from "../progress.js";
import type { Look } from "./look.js";
import type { Suspect } from "./merge.js";
import type { Amiss, Verdict } from "./verdict.js";

/** A point at which a test can act: something has been looked at, and will be looked at again. */
export type LookPoint = "between-looks";

export type ReachedLook = (point: LookPoint) => Promise<void> | void;

/** How long rows that keep changing are waited for, in all of a run. */
export class Patience {
  readonly #reached: ReachedLook;
  #leftMs: number;

  constructor(ms: number, reached: ReachedLook) {
    this.#leftMs = ms;
    this.#reached = reached;
  }

  get exhausted(): boolean {
    return this.#leftMs <= 0;
  }

  /** Waits a while, which counts where `counts` says so. */
  async wait(ms: number, counts: boolean): Promise<void> {
    await this.#reached("between-looks");
    const pause = counts ? Math.min(ms, this.#leftMs) : ms;
    if (counts) this.#leftMs -= pause;
    if (pause > 0) await sleep(pause);
  }
}

/** Where the verdicts on a table's suspects go. */
export interface Outcomes {
  /** A row of the source after all the same on both sides. */
  equal(): void;
  amiss(key: string, what: Amiss): Promise<void>;
}

interface Pending {
  readonly suspect: Suspect;
  readonly print: string;
  readonly looks: number;
}

const keysAtOnce = 500;
/** So many keys are kept in mind before the stream has to wait. */
const mostPending = 10_000;
const longestPauseMs = 500;

/** The suspects of one table, looked at until it is certain what they are, or until the patience is at its end. */
export class Settling {
  readonly #table: Table;
  readonly #look: Look;
  readonly #patience: Patience;
  readonly #outcomes: Outcomes;
  readonly #signal: AbortSignal | undefined;
  #pending = new Map<string, Pending>();
  /** Rows that were seen on another side than the streams had them: they may come up twice. */
  readonly #elsewhere = new Set<string>();

  constructor(table: Table, look: Look, patience: Patience, outcomes: Outcomes, signal: AbortSignal | undefined) {
    this.#table = table;
    this.#look = look;
    this.#patience = patience;
    this.#outcomes = outcomes;
    this.#signal = signal;
  }

  async add(suspects: readonly Suspect[]): Promise<void> {
    await this.#lookAt(suspects.map((suspect) => ({ suspect, print: "", looks: 0 })));
    while (this.#pending.size >= mostPending) await this.#again(this.#look.pauseMs);
  }

  /** Returns when nothing is left to be looked at. */
  async finish(): Promise<void> {
    for (let pause = this.#look.pauseMs; this.#pending.size > 0; pause = Math.min(longestPauseMs, pause * 2))
      await this.#again(pause);
  }

  async #again(pauseMs: number): Promise<void> {
    endIfAsked(this.#signal);
    const pending = [...this.#pending.values()];
    const lastTime = this.#patience.exhausted;
    // The second of two looks needs its distance from the first, whatever the patience.
    await this.#patience.wait(
      pauseMs,
      pending.some(({ looks }) => looks > 1),
    );
    this.#pending = new Map();
    for (const part of chunks(pending, keysAtOnce)) await this.#lookAt(part);
    if (lastTime) await this.#giveUp();
  }

  async #giveUp(): Promise<void> {
    const left = [...this.#pending.keys()];
    this.#pending = new Map();
    for (const key of left) await this.#outcomes.amiss(key, { kind: "owed" });
  }

  async #lookAt(pending: readonly Pending[]): Promise<void> {
    const before = new Map(pending.map(({ suspect, print }) => [suspect.key, print]));
    const seen = await this.#look.at(this.#table, [...before.keys()], before);
    for (const { suspect, looks } of pending) {
      const found = seen.get(suspect.key);
      if (found === undefined) continue;
      if (found.certain) await this.#settle(suspect, found.verdict);
      else this.#pending.set(suspect.key, { suspect, print: found.print, looks: looks + 1 });
    }
  }

  async #settle({ key, seen }: Suspect, verdict: Verdict): Promise<void> {
    const inSource = seen === "both" || seen === this.#look.from;
    if (verdict.kind === "gone") return;
    if (verdict.kind === "equal") {
      if (inSource) this.#outcomes.equal();
      return;
    }
    if (seen !== "both" && this.#comesTwice(key, inSource, verdict)) return;
    await this.#outcomes.amiss(key, verdict);
  }

  /** A row that both sides have, but each in another place, comes out of both streams. */
  #comesTwice(key: string, inSource: boolean, { kind }: Verdict): boolean {
    if (kind === "refused") return !inSource;
    if (kind !== "different") return false;
    const before = this.#elsewhere.size;
    return this.#elsewhere.add(key).size === before;
  }
}
