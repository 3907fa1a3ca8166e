import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Scene } from "./scene.js";

/** One line of the table. */
export interface Figure {
  readonly measure: string;
  readonly measured: string;
  readonly target: string;
  readonly met: boolean;
  /** What the figure was made of. */
  readonly detail: string;
}

export interface Measure {
  readonly name: string;
  run(scene: Scene): Promise<Figure[]>;
}

/** One of the ways to do the same thing that are compared. */
export interface Way {
  readonly name: string;
  /** Does it once; `index` counts through all calls. */
  once(index: number): Promise<unknown>;
  /** What has to be over before the next way has its turn; not timed. */
  settle?(): Promise<unknown>;
}

export interface Comparison {
  /** How many turns each way has. */
  readonly rounds: number;
  /** How often it is done in one turn. */
  readonly calls: number;
}

const warmUpRounds = 2;

/**
 * Microseconds for one call, for each way and round. The ways take turns in short blocks, in alternating order, so that whatever else
 * the machine does meets all of them.
 */
export async function compare(ways: readonly Way[], { rounds, calls }: Comparison): Promise<Timings> {
  const times = ways.map((): number[] => []);
  for (let round = -warmUpRounds; round < rounds; round++) {
    const order = ways.map((_, index) => index);
    if (round % 2 !== 0) order.reverse();
    for (const index of order) {
      const way = ways[index] as Way;
      const time = await timeOf(way, calls, (round + warmUpRounds) * calls);
      if (round >= 0) times[index]?.push(time);
    }
  }
  return new Timings(new Map(ways.map(({ name }, index) => [name, times[index] ?? []])));
}

export class Timings {
  readonly #times: ReadonlyMap<string, readonly number[]>;

  constructor(times: ReadonlyMap<string, readonly number[]>) {
    this.#times = times;
  }

  /** The middle one of the rounds' ratios. */
  ratio(measured: string, reference: string): number {
    const base = this.#of(reference);
    return median(this.#of(measured).map((time, round) => time / (base[round] ?? Number.NaN)));
  }

  /** `name 120 µs, …` */
  get detail(): string {
    return [...this.#times].map(([name, times]) => `${name} ${Math.round(median(times))} µs`).join(", ");
  }

  #of(name: string): readonly number[] {
    return this.#times.get(name) ?? [];
  }
}

async function timeOf(way: Way, calls: number, first: number): Promise<number> {
  const began = performance.now();
  for (let call = 0; call < calls; call++) await way.once(first + call);
  const time = ((performance.now() - began) * 1_000) / calls;
  await way.settle?.();
  return time;
}

/**
 * Frees what earlier work has left behind, whose finalizers would else run within what is measured next: the SQLite driver makes a
 * native statement for each call.
 */
export async function tidyUp(): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let turn = 0; turn < 3; turn++) {
    collect();
    await sleep(20);
  }
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** The value that so many percent do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1))] ?? Number.NaN;
}

export function atMost(measure: string, value: number, limit: number, detail: string, unit = ""): Figure {
  return { measure, measured: shown(value) + unit, target: `≤ ${limit}${unit}`, met: value <= limit, detail };
}

export function atLeast(measure: string, value: number, limit: number, detail: string, unit = ""): Figure {
  return {
    measure,
    measured: shown(value) + unit,
    target: `≥ ${limit.toLocaleString("en")}${unit}`,
    met: value >= limit,
    detail,
  };
}

function shown(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(value >= 10 ? 1 : 2);
}
