import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/** Milliseconds below which so many percent of the calls were answered. */
export interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** How long calls took, in one of Node's own histograms. */
export class Timer {
  readonly #histogram: RecordableHistogram = createHistogram();

  /** Counts a call that began at `from` (`process.hrtime.bigint()` would cost more than the histogram: this is `performance.now()`). */
  since(from: number): void {
    this.#histogram.record(Math.max(1, Math.round((performance.now() - from) * 1_000)));
  }

  get latency(): Latency {
    const at = (percentile: number) =>
      this.#histogram.count === 0 ? 0 : this.#histogram.percentile(percentile) / 1_000;
    return { count: this.#histogram.count, p50: at(50), p95: at(95), p99: at(99) };
  }
}
