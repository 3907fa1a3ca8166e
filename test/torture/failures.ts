import type { Side } from "../../src/engines/engine.js";
import type { Via } from "./log.js";
import type { Move, Trail } from "./observers.js";
import type { Trouble, TroubleKind } from "./troubles.js";

/** A call that was answered with an error. Times in milliseconds since 1970. */
export interface FailedCall {
  readonly code: string;
  readonly via: Via;
  /** Whether it changes nothing. */
  readonly isRead: boolean;
  readonly began: number;
  readonly ended: number;
  /** The bot that made it; null where it was made through any of them. */
  readonly slot: number | null;
  /** Whether the bot had opened its database before. */
  readonly wasOpen: boolean;
  /** Whether the bot's flags ask for PostgreSQL as primary. */
  readonly wantsPostgres: boolean;
}

/** The limits that the bots are started with, and the package's own for a lock of PostgreSQL and of SQLite's file, in milliseconds. */
export const limits = { query: 5_000, lock: 5_000, fileLock: 15_000, flip: 30_000 } as const;
/** A console's own limits. */
const consoleLimits = { connect: 1_000, query: 3_000 } as const;

/**
 * A side becomes primary some time after it has been written down, a connection is found broken some time after it broke, and what befell it is
 * written down some time after it did.
 */
const slackMs = 1_000;
/** An engine sends a read again on another connection; so many cuts in a row are too much for it. */
const cutsPerRead = 3;

/**
 * Which failures the faults of a round account for. With SQLite primary no call has to fail, whatever becomes of PostgreSQL; with
 * PostgreSQL primary, only while it, or the way to it, is in trouble. Waiting has its limits, which a machine that is busy with other
 * things can reach at any time: whoever fails for having waited must have waited that long.
 */
export class Failures {
  readonly #troubles: readonly Trouble[];
  readonly #moves: Readonly<Record<Side, readonly Move[]>>;

  constructor(troubles: readonly Trouble[], { sqlite, postgres }: Pick<Trail, Side>) {
    this.#troubles = troubles;
    this.#moves = { sqlite, postgres };
  }

  accountFor(call: FailedCall): boolean {
    if (call.via === "console on sqlite" || call.via === "console on postgres") return this.#accountForConsole(call);
    const took = call.ended - call.began;
    switch (call.code) {
      case "DATABASE_UNAVAILABLE":
      case "OUTCOME_UNKNOWN":
        return this.#needsPostgres(call) && (took >= limits.query || this.#isCutOff(call));
      case "DATABASE_BUSY":
        return took >= (this.#needsPostgres(call) ? limits.lock : limits.fileLock);
      case "NOT_PRIMARY":
        return took >= limits.flip;
      case "SCHEMA_MISSING":
        return !call.wasOpen && this.#had(call, null, ["one-sided"]);
      default:
        return false;
    }
  }

  /** Whether a console's write that was answered was made on a side that was primary. */
  wasPrimary(side: Side, { began, ended }: Pick<FailedCall, "began" | "ended">): boolean {
    return this.#sides(side, began, ended).has(side);
  }

  #accountForConsole(call: FailedCall): boolean {
    const took = call.ended - call.began;
    const side = call.via === "console on sqlite" ? "sqlite" : "postgres";
    if (call.code === "NOT_PRIMARY") return this.#sides(side, call.began, call.ended).has(other(side));
    // It does not wait for a lock.
    if (side === "sqlite") return call.code === "DATABASE_BUSY";
    if (call.code === "DATABASE_UNAVAILABLE") return took >= consoleLimits.connect || this.#isCutOff(call);
    return call.code === "OUTCOME_UNKNOWN" && (took >= consoleLimits.query || this.#isCutOff(call));
  }

  /** A process that SQLite tells that it is not primary, or that cannot even open without PostgreSQL. */
  #needsPostgres({ began, ended, wasOpen, wantsPostgres }: FailedCall): boolean {
    return (wantsPostgres && !wasOpen) || this.#sides("sqlite", began, ended).has("postgres");
  }

  #isCutOff(call: FailedCall): boolean {
    if (this.#had(call, call.slot, ["down", "frozen", "unlinked", "stopped"])) return true;
    const cuts = this.#during(call, call.slot, ["cut"]).length;
    return cuts >= (call.isRead ? cutsPerRead : 1);
  }

  #had(call: FailedCall, slot: number | null, kinds: readonly TroubleKind[]): boolean {
    return this.#during(call, slot, kinds).length > 0;
  }

  /** The troubles of these kinds that a bot, or with null any bot, met while the call lasted. */
  #during({ began, ended }: FailedCall, slot: number | null, kinds: readonly TroubleKind[]): readonly Trouble[] {
    return this.#troubles.filter(
      (trouble) =>
        kinds.includes(trouble.kind) &&
        (slot === null || trouble.slot === null || trouble.slot === slot) &&
        trouble.from - slackMs <= ended &&
        trouble.to + slackMs >= began,
    );
  }

  /** Which sides one side has taken to be primary in that time. */
  #sides(side: Side, from: number, to: number): ReadonlySet<string> {
    const moves = this.#moves[side];
    const there = moves.filter(({ at }, index) => {
      const end = moves[index + 1]?.at ?? Number.POSITIVE_INFINITY;
      return at - slackMs <= to && end + slackMs >= from;
    });
    return new Set(there.map(({ primary }) => primary));
  }
}

function other(side: Side): Side {
  return side === "sqlite" ? "postgres" : "sqlite";
}
