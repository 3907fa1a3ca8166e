import { setTimeout as sleep } from "node:timers/promises";
import { undecidedTime } from "../data/catalogue/discover.js";
import type { Finding } from "../data/finding.js";
import type { Side } from "../engines/engine.js";
import { DualDbError, errorFields, hasCode } from "../errors.js";
import type { Logger } from "../logger.js";
import { nextStep } from "./flip.js";
import { type Refusal, refusalText } from "./journal.js";
import type { PassResult } from "./mirror.js";
import type { Engaged, Partner } from "./partner.js";
import { abandonedMs, assertSameCatalogues, cataloguesOf, isHalfway, moveOf, type PairState } from "./state.js";
import { Stillness } from "./stillness.js";

export type RelayState = "stopped" | "idle" | "mirroring" | "waiting";

export interface RelayStatus {
  readonly state: RelayState;
  /** Rows mirrored by this process. */
  readonly mirrored: number;
  readonly altered: number;
  readonly wrapped: number;
  readonly refused: number;
  /** Failures in a row; 0 when the last cycle went through. */
  readonly failures: number;
  readonly lastError: { readonly code: string; readonly message: string } | null;
  /** Milliseconds since 1970. */
  readonly lastSuccessAt: number | null;
}

export interface RelayParts {
  readonly partner: Partner;
  readonly logger: Logger;
  readonly clock: () => number;
  /** How long a flip that it takes up may last. */
  readonly flipTimeoutMs: number;
  /** Whether rows are mirrored; else it only works off what a forced roll-back or a crash has left. */
  readonly shadow: boolean;
}

/** How often it looks for what others wrote, and how long it backs off while the other side is down. */
const pollMs = 1_000;
const firstBackOffMs = 100;
const longestBackOffMs = 15_000;
const quarantineRetryMs = 600_000;
/** How often it looks again what numbers count that nobody could tell: at most so often, and for so small a part of its time. */
const surveyPauseMs = 1_000;
const surveyShare = 0.01;
const hangingMs = 1_000;
const longestRestMs = 25;
/** Whoever changes the schema more often is waited for as after a failure. */
const mostChanges = 5;

/** The background loop that mirrors until the journal is empty. It logs changes of its state, not every failure. */
export class Relay {
  readonly #parts: RelayParts;
  readonly #counts = { mirrored: 0, altered: 0, wrapped: 0, refused: 0 };
  readonly #waiting: (() => void)[] = [];
  #wake = new AbortController();
  #nudged = false;
  #running: Promise<void> | null = null;
  #stopping = false;
  #state: RelayState = "stopped";
  #failures = 0;
  #lastError: DualDbError | null = null;
  #lastSuccessAt: number | null = null;
  #nextQuarantineAt = 0;
  /** Tables with numbers for times that were refused since nobody could tell what they count. */
  readonly #undecided = new Set<string>();
  #nextSurveyAt = 0;
  #primary: Side | null = null;
  #batchBegan = Number.POSITIVE_INFINITY;
  /** How often in a row the tables have turned out to be others than they were. */
  #changes = 0;
  readonly #stillness = new Stillness();

  constructor(parts: RelayParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#stopping = false;
    this.#running ??= this.#run();
  }

  /** Finishes the batch at hand. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake.abort();
    await this.#running;
    this.#running = null;
    this.#state = "stopped";
  }

  /** There is something to do: called after each write. */
  nudge(): void {
    this.#nudged = true;
    if (this.#state === "idle") this.#wake.abort();
  }

  /** As `nudge`, and does not wait for the end of a back-off. */
  hurry(): void {
    this.#nudged = true;
    this.#wake.abort();
  }

  /** Whether its last attempt failed or the present one hangs, so that nothing is to be expected soon. */
  get failing(): boolean {
    return this.#failures > 0 || this.#parts.clock() - this.#batchBegan > hangingMs;
  }

  /** Resolves when the next batch has gone through, or after so many milliseconds. */
  async batch(withinMs: number): Promise<void> {
    const late = new AbortController();
    const passed = new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#state === "mirroring") this.#wake.abort();
    await Promise.race([passed, sleep(withinMs, undefined, { signal: late.signal }).catch(() => undefined)]);
    late.abort();
  }

  status(): RelayStatus {
    const { code, message } = this.#lastError ?? {};
    const lastError = code === undefined || message === undefined ? null : { code, message };
    return {
      state: this.#state,
      ...this.#counts,
      failures: this.#failures,
      lastError,
      lastSuccessAt: this.#lastSuccessAt,
    };
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const began = performance.now();
      const pause = await this.#cycle();
      if (this.#stopping) return;
      const busy = pause === 0 && this.#primary !== null;
      await (busy ? this.#rest(performance.now() - began) : this.#sleep(pause));
    }
  }

  /** Under steady writes it rests as long as it has worked: writers get their turns, and the next batch is worth its round trips. */
  async #rest(workedMs: number): Promise<void> {
    this.#state = "mirroring";
    this.#wake = new AbortController();
    if (this.#waiting.length > 0) return;
    await sleep(Math.min(longestRestMs, workedMs), undefined, { ref: false, signal: this.#wake.signal }).catch(
      () => undefined,
    );
  }

  /** One look at everything; how long to sleep afterwards, in milliseconds. */
  async #cycle(): Promise<number> {
    // Mirroring goes on while a flip is half-way, so that only a look at the states tells that its process is gone.
    if (!this.#nudged) this.#primary = null;
    const nudged = this.#nudged;
    this.#nudged = false;
    try {
      const engaged = await this.#parts.partner.engage();
      const settled = this.#primary !== null || (await this.#settle(engaged));
      if (settled && this.#parts.shadow && (nudged || (await this.#isOwed(engaged)))) await this.#drain(engaged);
      if (await this.#surveyAgain()) this.#nudged = true;
      this.#succeeded();
      return this.#nudged || this.#primary === null ? 0 : pollMs;
    } catch (error) {
      return this.#failed(error);
    }
  }

  /** A look that takes no lock; it also notices that the primary has moved. */
  async #isOwed({ mirror }: Engaged): Promise<boolean> {
    return this.#primary !== null && mirror.isOwed(this.#primary);
  }

  /** Works off what a forced roll-back or a crash has left. Tells whether the pair is settled. */
  async #settle({ flip, pair }: Engaged): Promise<boolean> {
    const states = await flip.states();
    assertSameCatalogues(pair.catalogues, cataloguesOf(states));
    const step = nextStep(states, headingOf(states));
    if (step === "settled") {
      this.#primary = states.sqlite.primary;
      return true;
    }
    const deadline = this.#parts.clock() + this.#parts.flipTimeoutMs;
    if (isHalfway(states)) {
      if (this.#stillness.of(moveOf(states)) > abandonedMs) await flip.to(headingOf(states), deadline);
      else await this.#sleep(pollMs / 10);
    } else {
      const refused = await flip.perform(step, deadline);
      if (refused !== null && refused.length > 0) throw recoveryRefused(refused);
    }
    return false;
  }

  /** Sweeps over the journal until nothing moves any more. */
  async #drain({ mirror }: Engaged): Promise<void> {
    const quarantined = this.#parts.clock() >= this.#nextQuarantineAt;
    if (this.#stopping || this.#primary === null) return;
    const sweep = mirror.sweep(this.#primary, quarantined, () => !this.#stopping);
    this.#batchBegan = this.#parts.clock();
    for await (const result of sweep) {
      this.#batchBegan = result.more ? this.#parts.clock() : Number.POSITIVE_INFINITY;
      this.#count(result);
      this.#announce();
      if (result.more) this.#state = "mirroring";
    }
    this.#batchBegan = Number.POSITIVE_INFINITY;
    // A sweep that breaks off has not tried them all.
    if (quarantined) this.#nextQuarantineAt = this.#parts.clock() + quarantineRetryMs;
  }

  /** Rows that came since may tell. Then those in quarantine, which wait for that, are tried at once. */
  async #surveyAgain(): Promise<boolean> {
    const { clock, partner } = this.#parts;
    if (this.#undecided.size === 0 || clock() < this.#nextSurveyAt) return false;
    const began = performance.now();
    const isDecided = await partner.surveyAgain(new Set(this.#undecided));
    this.#undecided.clear();
    this.#nextSurveyAt = clock() + Math.max(surveyPauseMs, (performance.now() - began) / surveyShare);
    if (isDecided) this.#nextQuarantineAt = 0;
    return isDecided;
  }

  #announce(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #count({ moved, findings, refusals }: PassResult): void {
    this.#counts.mirrored += moved;
    this.#counts.refused += refusals.length;
    for (const finding of findings) {
      if (finding.action === "refused") continue;
      this.#counts[finding.action] += 1;
      this.#parts.logger.warn({ event: "finding", ...finding }, "value not carried exactly");
    }
    for (const { entry, column, reason } of refusals) {
      const { table, key, attempts } = entry;
      if (reason === undecidedTime) this.#undecided.add(table);
      // It is tried again, and what is wrong with it is said once.
      if (attempts > 0) continue;
      const finding: Finding = { table, key, column, reason, action: "refused" };
      this.#parts.logger.error({ event: "refused", ...finding }, "row refused by the other side");
    }
  }

  #succeeded(): void {
    if (this.#failures > 0)
      this.#parts.logger.info({ event: "relay-recovered", failures: this.#failures }, "relay goes on");
    this.#failures = 0;
    this.#changes = 0;
    this.#lastError = null;
    this.#lastSuccessAt = this.#parts.clock();
    this.#state = "idle";
  }

  #failed(error: unknown): number {
    this.#primary = null;
    this.#batchBegan = Number.POSITIVE_INFINITY;
    if (hasCode(error, "NOT_PRIMARY")) return 0;
    if (hasCode(error, "SCHEMA_CHANGED")) {
      this.#parts.partner.forget();
      if (++this.#changes < mostChanges) return 0;
    }
    if (hasCode(error, "FINALIZED")) return this.#end();
    const first = this.#failures === 0 || this.#lastError?.code !== codeOf(error);
    if (first)
      this.#parts.logger.error(
        { event: "relay-failed", ...errorFields(error) },
        "relay waits, the journal keeps what is owed",
      );
    if (hasCode(error, "SCHEMA_MISSING", "PAIR_MISMATCH")) this.#parts.partner.forget();
    this.#lastError =
      error instanceof DualDbError
        ? error
        : new DualDbError("QUERY_FAILED", "Unexpected failure of the relay.", { cause: error });
    this.#failures += 1;
    this.#state = "waiting";
    const longest = Math.min(longestBackOffMs, firstBackOffMs * 2 ** Math.min(this.#failures, 10));
    return longest * (0.5 + Math.random() / 2);
  }

  /** Nothing will ever be mirrored again. */
  #end(): number {
    this.#stopping = true;
    this.#state = "stopped";
    this.#parts.logger.info({ event: "finalized" }, "the pair was finalized, PostgreSQL goes on alone");
    return 0;
  }

  async #sleep(ms: number): Promise<void> {
    this.#wake = new AbortController();
    if (ms <= 0 || (this.#nudged && this.#state === "idle")) return;
    await sleep(ms, undefined, { ref: false, signal: this.#wake.signal }).catch(() => undefined);
  }
}

/** SQLite goes on, and PostgreSQL keeps what SQLite does not take, until somebody has mended it. */
function recoveryRefused(refusals: readonly Refusal[]): DualDbError {
  const rows = refusals.map(({ entry: { table, key }, ...refusal }) => ({ table, key, reason: refusalText(refusal) }));
  return new DualDbError(
    "FLIP_REFUSED",
    `After the forced roll-back SQLite does not take ${rows.length} row(s) that PostgreSQL still has, the first one in table ${rows[0]?.table}. Nothing is mirrored until they are mended: change the row in PostgreSQL or what SQLite has against it, or write it in SQLite, whose version then stays.`,
    { table: rows[0]?.table, details: { refusals: rows } },
  );
}

function codeOf(error: unknown): string {
  return error instanceof DualDbError ? error.code : "QUERY_FAILED";
}

/** Where the pair is going without anybody's wish: a flip goes on in its direction. */
function headingOf(states: PairState): Side {
  return isHalfway(states) ? states.postgres.wanted : states.sqlite.primary;
}
