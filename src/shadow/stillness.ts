/** How long something has been seen unchanged, by this process's own clock: clocks of several machines need not agree. */
export class Stillness {
  #seen: string | null = null;
  #since = 0;

  /** Milliseconds since what is seen now was first seen. */
  of(seen: string): number {
    if (seen !== this.#seen) {
      this.#seen = seen;
      this.#since = performance.now();
    }
    return performance.now() - this.#since;
  }
}
