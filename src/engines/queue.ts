import { setImmediate as nextTurn } from "node:timers/promises";
import { DualDbError } from "../errors.js";
import type { Side } from "./engine.js";

/** Milliseconds of work in one piece after which the event loop gets a turn. */
const LONGEST_PIECE_MS = 5;

/**
 * First in, first out, one at a time. Local libSQL is synchronous and its promises resolve in microtasks, so the queue is also what
 * lets timers and sockets run during a long series of statements.
 */
export class Queue {
  readonly #side: Side;
  #tail: Promise<void> = Promise.resolve();
  #waiting = 0;
  #active = false;
  #closed = false;
  /** When the present turn of the event loop first did work for us; 0 in a turn that has not. */
  #pieceBegan = 0;

  constructor(side: Side) {
    this.#side = side;
  }

  /** Calls that wait for their slot. */
  get waiting(): number {
    return this.#waiting;
  }

  get idle(): boolean {
    return !this.#active && this.#waiting === 0;
  }

  /** Runs `work` when everything asked for before has ended. After `close()`: DATABASE_CLOSED. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#refuseWhenClosed();
    const before = this.#tail;
    let leave = nothing;
    this.#tail = new Promise((resolve) => {
      leave = resolve;
    });
    this.#waiting++;
    await before;
    this.#waiting--;
    this.#active = true;
    try {
      await this.breathe();
      return await work();
    } finally {
      this.#active = false;
      leave();
    }
  }

  /** To be awaited between the steps of a long piece of work: gives the event loop a turn when it is due. */
  async breathe(): Promise<void> {
    while (this.#owesTurn()) await nextTurn();
  }

  /** Takes no more work and waits for what was asked for. Can be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#tail;
  }

  #refuseWhenClosed(): void {
    if (!this.#closed) return;
    throw new DualDbError("DATABASE_CLOSED", "the database is closed: open a new one", { side: this.#side });
  }

  #owesTurn(): boolean {
    if (this.#pieceBegan !== 0) return performance.now() - this.#pieceBegan >= LONGEST_PIECE_MS;
    this.#pieceBegan = performance.now();
    setImmediate(() => {
      this.#pieceBegan = 0;
    });
    return false;
  }
}

function nothing(): void {}
