import { type EpochChoices, type Pairing, surveyAgain } from "../data/catalogue/discover.js";
import { TableGraph } from "../data/graph.js";
import type { Engine } from "../engines/engine.js";
import { DualDbError, hasCode } from "../errors.js";
import type { Logger } from "../logger.js";
import { arm } from "./arm.js";
import { Flip, type FlipEvents } from "./flip.js";
import { type FaultPoint, Mirror, type Pair } from "./mirror.js";
import type { Catalogues } from "./state.js";

/** PostgreSQL beside SQLite, connected, checked and armed: what relay and flips work with. */
export interface Engaged {
  readonly pair: Pair;
  readonly mirror: Mirror;
  readonly flip: Flip;
  readonly pairing: Pairing;
}

export interface PartnerParts {
  readonly sqlite: Engine;
  /** Opens PostgreSQL's engine, or throws CONFIG_INVALID where no variable names one. */
  readonly postgres: () => Promise<Engine>;
  /** Throws SCHEMA_MISSING where PostgreSQL's tables are not those of this version. */
  readonly requireSchema: (engine: Engine) => Promise<void>;
  readonly clock: () => number;
  /** What SQLite's numbers for times count, where somebody has said so. */
  readonly epochs: EpochChoices | undefined;
  readonly timeoutMs: number;
  readonly events: FlipEvents;
  readonly logger: Logger;
  readonly reached: (point: FaultPoint) => Promise<void> | void;
}

/** Somebody who changes the schema all the time is not waited for. */
const mostLooks = 10;

/** How long tables are left alone that somebody has to decide about, in milliseconds. */
const undecidedMs = 10_000;

/** Brings the two databases together when it is first needed. A failure is not remembered: the next call tries again. */
export class Partner {
  readonly #parts: PartnerParts;
  #engaged: Promise<Engaged> | null = null;
  #latest: Engaged | null = null;
  #problem: DualDbError | null = null;
  #lookAgainAt = Number.POSITIVE_INFINITY;
  #toldUnmirrored = "[]";

  constructor(parts: PartnerParts) {
    this.#parts = parts;
  }

  /** Why the databases are not together; null when they are, or when nobody has tried. */
  get problem(): DualDbError | null {
    return this.#problem;
  }

  /** What the last look at both databases has found; null before they have come together. */
  get latest(): Engaged | null {
    return this.#latest;
  }

  /** What is mirrored and what is not, once a look that is under way has ended; null before the databases have come together. */
  async pairing(): Promise<Pairing | null> {
    await this.#engaged?.catch(() => null);
    return this.#latest?.pairing ?? null;
  }

  /** @throws DATABASE_UNAVAILABLE, SCHEMA_MISSING, PAIR_MISMATCH, FINALIZED, CONFIG_INVALID */
  engage(): Promise<Engaged> {
    if (performance.now() > this.#lookAgainAt) this.forget();
    this.#engaged ??= this.#tryToEngage().catch((error: unknown) => {
      this.#engaged = null;
      if (error instanceof DualDbError) this.#problem = error;
      throw error;
    });
    return this.#engaged;
  }

  /**
   * Works with both databases. Where their tables turn out to be others than they were when somebody looked, looks again and repeats:
   * `work` must be repeatable.
   */
  async together<T>(work: (engaged: Engaged) => Promise<T>): Promise<T> {
    for (let look = 1; ; look++) {
      const engaged = await this.engage();
      try {
        return await work(engaged);
      } catch (error) {
        if (!hasCode(error, "SCHEMA_CHANGED") || look === mostLooks) throw error;
        this.forget();
      }
    }
  }

  /**
   * Looks again at how SQLite writes the times of these tables, where nobody could tell before: rows have come since. Tells whether something
   * has been decided.
   */
  async surveyAgain(tables: ReadonlySet<string>): Promise<boolean> {
    const { pair, pairing } = await this.engage();
    const surveyed = await this.#parts.sqlite.transaction({ mode: "read" }, (reader) =>
      surveyAgain(reader, pairing, tables),
    );
    if (surveyed === null) return false;
    this.#engaged = Promise.resolve(this.#engagedWith(pair.postgres, surveyed, pair.catalogues));
    return true;
  }

  /** Looks at both databases again before they are next used, after something was found missing or changed. */
  forget(): void {
    this.#engaged = null;
    this.#lookAgainAt = Number.POSITIVE_INFINITY;
  }

  async #tryToEngage(): Promise<Engaged> {
    const { sqlite, clock, epochs, logger } = this.#parts;
    const postgres = await this.#parts.postgres();
    await this.#parts.requireSchema(postgres);
    const { pairing, catalogues, armed, unarmed, undecided, refused } = await arm(sqlite, postgres, clock, epochs);
    if (armed.length > 0)
      logger.info({ event: "armed", tables: armed }, "tables armed, their rows are owed to the other side");
    for (const finding of refused) logger.error({ event: "refused", ...finding }, "row refused by the other side");
    if (unarmed.length > 0) this.forget();
    if (undecided.length > 0) this.#lookAgainAt = performance.now() + undecidedMs;
    this.#problem = null;
    this.#tellUnmirrored(pairing);
    return this.#engagedWith(postgres, pairing, catalogues);
  }

  #engagedWith(postgres: Engine, pairing: Pairing, catalogues: Catalogues): Engaged {
    const { sqlite, clock, timeoutMs, events, reached } = this.#parts;
    const tables = { graph: new TableGraph(pairing.tables), dependents: pairing.dependents };
    const pair = { sqlite, postgres, ...tables, catalogues, timeoutMs, reached };
    const mirror = new Mirror(pair);
    this.#latest = { pair, mirror, flip: new Flip(pair, mirror, clock, events), pairing };
    return this.#latest;
  }

  /** Once, and again when it is others. */
  #tellUnmirrored({ unmirrored }: Pairing): void {
    const told = JSON.stringify(unmirrored);
    if (told === this.#toldUnmirrored) return;
    this.#toldUnmirrored = told;
    if (unmirrored.length === 0) return;
    this.#parts.logger.warn(
      { event: "unmirrored", tables: unmirrored },
      "tables that are not mirrored: what is written to them stays on its side",
    );
  }
}
