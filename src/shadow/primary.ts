import { setTimeout as sleep } from "node:timers/promises";
import type { Engine, Side } from "../engines/engine.js";
import { DualDbError, hasCode } from "../errors.js";
import type { Logger } from "../logger.js";
import type { Partner } from "./partner.js";
import { abandonedMs, moveOf, readPostgresState, stateOf } from "./state.js";
import { Stillness } from "./stillness.js";

export interface PrimaryParts {
  /** null where SQLite cannot be opened while PostgreSQL is primary. */
  readonly sqlite: Engine | null;
  readonly postgres: () => Promise<Engine>;
  readonly partner: Partner | null;
  readonly logger: Logger;
  readonly clock: () => number;
  readonly flipTimeoutMs: number;
}

const firstPauseMs = 10;
const longestPauseMs = 200;

/** Which side this process believes to be primary. The states rule: told that it is wrong, it reads them again. */
export class Primary {
  readonly #parts: PrimaryParts;
  #side: Side;
  #following: Promise<Side> | null = null;
  readonly #stillness = new Stillness();

  constructor(side: Side, parts: PrimaryParts) {
    this.#side = side;
    this.#parts = parts;
  }

  get side(): Side {
    return this.#side;
  }

  /** Waits for a flip that is under way, and takes up one that its process has left. */
  follow(): Promise<Side> {
    this.#following ??= this.#follow().finally(() => {
      this.#following = null;
    });
    return this.#following;
  }

  async #follow(): Promise<Side> {
    const { clock, flipTimeoutMs, logger } = this.#parts;
    const deadline = clock() + flipTimeoutMs;
    for (let pause = firstPauseMs; ; pause = Math.min(longestPauseMs, pause * 2)) {
      const found = await this.#look();
      if (found !== null && found !== this.#side) {
        logger.warn(
          { event: "primary-moved", from: this.#side, to: found },
          "the primary has moved, this process follows",
        );
        this.#side = found;
      }
      if (found !== null) return found;
      if (clock() > deadline) throw halfway();
      await sleep(pause * (0.5 + Math.random() / 2));
    }
  }

  /** The side that takes writes now; null while a flip is half-way. */
  async #look(): Promise<Side | null> {
    const sqlite = this.#parts.sqlite === null ? null : await stateOf(this.#parts.sqlite);
    if (sqlite?.primary === "sqlite") return "sqlite";
    const engine = await this.#parts.postgres();
    const postgres = await engine.transaction({ mode: "read", timeoutMs: 5_000 }, readPostgresState);
    if (postgres.primary === "postgres") return "postgres";
    if (sqlite === null) throw halfway();
    if (this.#stillness.of(moveOf({ sqlite, postgres })) > abandonedMs) await this.#takeUp(postgres.wanted);
    return null;
  }

  async #takeUp(wanted: Side): Promise<void> {
    const { partner, clock, flipTimeoutMs } = this.#parts;
    try {
      await partner?.together(({ flip }) => flip.to(wanted, clock() + flipTimeoutMs));
    } catch (error) {
      if (!hasCode(error, "FLIP_REFUSED")) throw error;
    }
  }
}

function halfway(): DualDbError {
  return new DualDbError(
    "NOT_PRIMARY",
    "Neither database takes writes: a change of the primary is half-way. Repeat the call; if this stays, restart a process with the flags that you want.",
  );
}
