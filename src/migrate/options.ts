import type { EpochChoices } from "../data/conversion/epoch.js";
import type { Logger } from "../logger.js";
import type { Progress } from "./progress.js";

/** What every function of the toolkit takes. All of it is optional. */
export interface ToolOptions {
  /** The variables that name the databases; `process.env` by default. */
  readonly env?: NodeJS.ProcessEnv;
  /** SQLite's file or a libSQL server's URL, instead of what the environment names. */
  readonly sqlite?: string;
  /** PostgreSQL's URL, instead of what the environment names. */
  readonly postgres?: string;
  /** Only these tables, by their names in SQLite; all tables by default. */
  readonly tables?: readonly string[];
  /**
   * How columns of SQLite count time, by `table.column`, or under `*` for all of them: for those whose rows do not tell, and where they do,
   * in its place. MIGRATION_EPOCHS by default.
   */
  readonly epochs?: EpochChoices;
  /** Rows in one step; MIGRATION_BATCH_SIZE by default, else what suits the table. */
  readonly batchSize?: number;
  /** Ends the run between two steps, with INTERRUPTED. What is done stays done, and a second run finishes it. */
  readonly signal?: AbortSignal;
  /** Told of every step. It must not throw. */
  readonly onProgress?: (progress: Progress) => void;
  /** Anything with pino's four methods; silent by default. */
  readonly logger?: Logger;
  /** Unix time in milliseconds. */
  readonly clock?: () => number;
}
