import { DualDbError, errorFields, hasCode } from "../errors.js";
import { type CopyReport, copy } from "../migrate/copy.js";
import { type DoctorReport, doctor } from "../migrate/doctor.js";
import type { ToolOptions } from "../migrate/options.js";
import type { Progress } from "../migrate/progress.js";
import type { Outcome } from "../migrate/runs.js";
import { type VerifyReport, verify } from "../migrate/verify.js";
import { type PublicError, publicError } from "./public.js";
import { RunMemory } from "./run-memory.js";

/** What a POST has started: the copy and then the verify, or a doctor's look. It goes on whoever asks, and never throws. */
export interface RunReport {
  readonly id: string;
  /** Whether it is this process's: only then are there the reports of what it has done. */
  readonly here: boolean;
  readonly dryRun: boolean;
  /** `differs`: done, but rows were set aside, are not equal, or would not arrive as they are. `interrupted`: its process is gone, too. */
  readonly state: Outcome;
  /** Unix times in milliseconds. */
  readonly beganAt: number;
  readonly endedAt: number | null;
  readonly progress: Progress | null;
  readonly doctor: DoctorReport | null;
  readonly copy: CopyReport | null;
  readonly verify: VerifyReport | null;
  readonly error: PublicError | null;
}

type Part = Partial<Pick<RunReport, "doctor" | "copy" | "verify">> & { readonly state: RunReport["state"] };

/** In a pair, every process knows of it. */
export class MigrationRun {
  readonly #options: ToolOptions;
  readonly #clock: () => number;
  #report: RunReport;
  #memory: RunMemory | null = null;

  /** @throws RUN_UNDER_WAY where another process of this pair is at it. */
  static async begin(id: string, dryRun: boolean, options: ToolOptions): Promise<MigrationRun> {
    const run = new MigrationRun(id, dryRun, options);
    run.#memory = await RunMemory.open(run.#options, () => run.#report);
    run.#set({ beganAt: run.#memory?.beganAt ?? run.#report.beganAt });
    return run;
  }

  private constructor(id: string, dryRun: boolean, options: ToolOptions) {
    const clock = options.clock ?? Date.now;
    this.#clock = clock;
    this.#options = { ...options, onProgress: (progress) => this.#set({ progress }) };
    this.#report = { ...nothing, id, dryRun, beganAt: clock() };
  }

  get report(): RunReport {
    return this.#report;
  }

  async run(): Promise<void> {
    await this.#run();
    try {
      await this.#memory?.end(this.#report.state);
    } catch (error) {
      const fields = { event: "run-not-recorded", run: this.#report.id, ...errorFields(error) };
      this.#options.logger?.warn(fields, "other processes will take this run for interrupted");
    }
  }

  async #run(): Promise<void> {
    try {
      const { state } = await (this.#report.dryRun ? this.#look() : this.#move());
      this.#set({ state, endedAt: this.#clock() });
    } catch (error) {
      const fields = { event: "migration-run-failed", run: this.#report.id, ...errorFields(error) };
      this.#options.logger?.error(fields, "the run has failed; a new one goes on where it ended");
      const state = hasCode(error, "INTERRUPTED") ? "interrupted" : "failed";
      this.#set({ state, endedAt: this.#clock(), error: publicError(error) });
    }
  }

  async #look(): Promise<Part> {
    const report = await doctor(this.#options);
    this.#set({ doctor: report });
    if (report.healthy === null) throw unseen(report);
    return { state: report.healthy ? "done" : "differs" };
  }

  /** A copy that was killed goes on where it ended, and one that is done changes nothing. */
  async #move(): Promise<Part> {
    const copied = await copy(this.#options);
    this.#set({ copy: copied });
    const verified = await verify(this.#options);
    this.#set({ verify: verified });
    return { state: verified.equal && copied.rejects === null ? "done" : "differs" };
  }

  #set(change: Partial<RunReport>): void {
    this.#report = { ...this.#report, ...change };
  }
}

const nothing = {
  here: true,
  state: "running",
  endedAt: null,
  progress: null,
  doctor: null,
  copy: null,
  verify: null,
  error: null,
} as const;

function unseen({ databases }: DoctorReport): DualDbError {
  const silent = databases.find(({ error }) => error !== null);
  return new DualDbError("DATABASE_UNAVAILABLE", "A database cannot be looked at.", { side: silent?.side });
}
