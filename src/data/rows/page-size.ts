/** How many rows the next page should have: small enough in bytes for the memory, and in time for the event loop, whatever the rows are. */
export class PageSize {
  readonly #most: number;
  #rows = 64;

  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most;
  }

  get rows(): number {
    return Math.min(this.#most, this.#rows);
  }

  /** Learns from a page: its bytes, and how long it held up the event loop, in milliseconds. */
  learn(bytes: number, blockedMs: number): void {
    const factor = Math.min(2, mostBytes / Math.max(1, bytes), mostBlockedMs / Math.max(0.1, blockedMs));
    this.#rows = Math.min(mostRows, Math.max(1, Math.floor(this.#rows * factor)));
  }
}

const mostBytes = 1_000_000;
const mostBlockedMs = 8;
const mostRows = 10_000;
