import { DualDbError, errorFields } from "../errors.js";
import { type CopyReport, copy } from "../migrate/copy.js";
import { type DoctorReport, doctor } from "../migrate/doctor.js";
import type { ToolOptions } from "../migrate/options.js";
import type { Progress } from "../migrate/progress.js";
import { type VerifyReport, verify } from "../migrate/verify.js";
import { type PublicError, publicError } from "./public.js";

/** What a POST has started: the copy and then the verify, or a doctor's look. It goes on whoever asks, and never throws. */
export interface RunReport {
  readonly id: string;
  readonly dryRun: boolean;
  /** `differs`: done, but rows were set aside, are not equal, or would not arrive as they are. */
  readonly state: "running" | "done" | "differs" | "failed";
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

export class MigrationRun {
  readonly #options: ToolOptions;
  readonly #clock: () => number;
  #report: RunReport;

  constructor(id: string, dryRun: boolean, options: ToolOptions) {
    const clock = options.clock ?? Date.now;
    this.#clock = clock;
    this.#options = { ...options, onProgress: (progress) => this.#set({ progress }) };
    this.#report = { ...nothing, id, dryRun, beganAt: clock() };
  }

  get report(): RunReport {
    return this.#report;
  }

  async run(): Promise<void> {
    try {
      const { state } = await (this.#report.dryRun ? this.#look() : this.#move());
      this.#set({ state, endedAt: this.#clock() });
    } catch (error) {
      const fields = { event: "migration-run-failed", run: this.#report.id, ...errorFields(error) };
      this.#options.logger?.error(fields, "the run has failed; a new one goes on where it ended");
      this.#set({ state: "failed", endedAt: this.#clock(), error: publicError(error) });
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
