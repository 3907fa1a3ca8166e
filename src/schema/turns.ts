import { setTimeout as sleep } from "node:timers/promises";
import type { Engine } from "../engines/engine.js";
import type { MigrationFile } from "./files.js";
import { record, trackedIn } from "./tracking.js";

export interface TurnOptions {
  /** How long another run's turn is waited for: after that its process is taken to be gone. In milliseconds. */
  readonly timeoutMs: number;
  /** Unix time in milliseconds. */
  readonly clock: () => number;
}

const underWay = "under way, or broken off";
const lookEveryMs = 50;

/**
 * On SQLite nothing locks the runs of a file that asks for no transaction out of each other: the first one says in the tracking table that
 * it is at work, and the others wait. Resolves to whether it is this run's turn; false where another one has applied the file.
 */
export async function takeTurn(engine: Engine, file: MigrationFile, options: TurnOptions): Promise<boolean> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    const turn = await engine.transaction({ mode: "write" }, async (transaction) => {
      const tracked = await trackedIn(transaction, file.filename);
      if (tracked?.success === true) return "done";
      if (tracked?.error === underWay && performance.now() < deadline) return "taken";
      await transaction.execute(record(file, options.clock(), 0, underWay));
      return "mine";
    });
    if (turn !== "taken") return turn === "mine";
    await sleep(lookEveryMs);
  }
}
