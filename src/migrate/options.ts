import type { Environment } from "../config.js";
import type { EpochChoices } from "../data/conversion/epoch.js";
import type { Logger } from "../logger.js";
import type { Progress } from "./progress.js";

/** What every function of the toolkit takes. All of it is optional. */
export interface ToolOptions {
  /** The variables that name the databases; `process.env` by default. */
  readonly env?: Environment | undefined;
  /** SQLite's file or a libSQL server's URL, instead of what the environment names. */
  readonly sqlite?: string | undefined;
  /** PostgreSQL's URL, instead of what the environment names. */
  readonly postgres?: string | undefined;
  /** Only these tables, by their names in SQLite; all tables by default. */
  readonly tables?: readonly string[] | undefined;
  /**
   * How columns of SQLite count time, by `table.column`, or under `*` for all of them: for those whose rows do not tell, and where they do,
   * in its place. MIGRATION_EPOCHS by default.
   */
  readonly epochs?: EpochChoices | undefined;
  /** Rows in one step; MIGRATION_BATCH_SIZE by default, else what suits the table. */
  readonly batchSize?: number | undefined;
  /** Ends the run between two steps, with INTERRUPTED. What is done stays done, and a second run finishes it. */
  readonly signal?: AbortSignal | undefined;
  /** Told of every step. It must not throw. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Anything with pino's four methods; silent by default. */
  readonly logger?: Logger | undefined;
  /** Unix time in milliseconds. */
  readonly clock?: (() => number) | undefined;
}
