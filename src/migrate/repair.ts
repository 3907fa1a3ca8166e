import type { Side } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import { advanceCounters } from "./copy/aftermath.js";
import { type Databases, type Scene, sceneOf, tablesIn, withDatabases } from "./databases.js";
import type { ToolOptions } from "./options.js";
import { endIfAsked } from "./progress.js";
import { FormerRows } from "./repair/former-rows.js";
import { JournalMender, type Left, type Mender, PlainMender } from "./repair/mender.js";
import { differencesIn } from "./repair/report-file.js";
import { type Outcome, recordingFailure, recordRun } from "./runs.js";
import { assertAtRest, livePair, sourceOf } from "./verify/source.js";
import type { Difference } from "./verify/table.js";
import { compareScene, type VerifyReport, withTwoConnections } from "./verify.js";

/** What a repair takes. */
export interface RepairOptions extends ToolOptions {
  /** Whose rows count, where the databases are no pair; SQLite by default. In a pair it is the primary. */
  readonly from?: Side | undefined;
  /** Mend what was found; else it is only shown. */
  readonly apply?: boolean | undefined;
  /** A file that `verify` has written, instead of a comparison anew. */
  readonly report?: string | undefined;
  /** The folder for the file with the former rows, `former-rows` by default. */
  readonly directory?: string | undefined;
  /** As of `verify`, in milliseconds. */
  readonly settleMs?: number | undefined;
}

/** What was to be mended in one table. */
export interface TableRepair {
  readonly table: string;
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /** The first 1,000. */
  readonly differences: readonly Difference[];
}

/** What a repair has found, and what it has done. */
export interface RepairReport {
  readonly applied: boolean;
  /** Whether nothing is amiss any more; without `apply`, whether nothing was. */
  readonly equal: boolean;
  /** The side whose rows count; the other one is mended. */
  readonly from: Side;
  readonly armed: boolean;
  readonly tables: readonly TableRepair[];
  /** Rows that could not be mended, with the reason: the first 1,000. */
  readonly left: readonly Left[];
  /** The file with what the mended side held before; null where there was nothing to keep. */
  readonly kept: string | null;
  /** The comparison afterwards, or the one that showed what there is to do. */
  readonly verified: VerifyReport | null;
}

const timeoutMs = 60_000;
const keysAtOnce = 250;
const mostInReport = 1_000;

/**
 * Makes the rows that `verify` finds missing, extra or different on one side what they are on the other. In a pair it goes through the
 * journal of the primary, as if the rows had been written again, and is safe while others write. What the mended side held before is kept
 * in a file first. Without `apply` nothing is changed.
 * @throws NOT_PRIMARY where `from` is the shadow of a pair, or a change of the primary is half-way. FINALIZED. FILE_UNUSABLE. INTERRUPTED.
 */
export async function repair(options: RepairOptions = {}): Promise<RepairReport> {
  return withDatabases({ ...withTwoConnections(options), onlyRead: options.apply !== true }, async (databases) => {
    const scene = await sceneOf(databases, options);
    assertRepairable(scene);
    const isWriting = options.apply === true && livePair(scene) !== null;
    const postgres = isWriting ? databases.postgres : null;
    return recordingFailure("repair", postgres, options, () => new Repair(databases, scene, options).run());
  });
}

class Repair {
  readonly #databases: Databases;
  readonly #scene: Scene;
  readonly #options: RepairOptions;
  readonly #from: Side;
  readonly #former: FormerRows;
  readonly #mender: Mender;
  readonly #batches = new Map<string, string[]>();
  readonly #tables = new Map<string, MutableRepair>();
  readonly #left: Left[] = [];
  readonly #beganAt: number;

  constructor(databases: Databases, scene: Scene, options: RepairOptions) {
    const clock = options.clock ?? Date.now;
    const { sqlite, postgres } = databases;
    this.#databases = databases;
    this.#scene = scene;
    this.#options = options;
    this.#beganAt = clock();
    this.#from = sourceOf(scene, options.from);
    this.#former = new FormerRows(options.directory ?? "former-rows", this.#beganAt);
    const tables = { graph: scene.graph, dependents: scene.pairing.dependents };
    const mending = { from: this.#from, sqlite, postgres, ...tables, former: this.#former, timeoutMs, clock };
    this.#mender =
      livePair(scene) === null
        ? new PlainMender(mending)
        : new JournalMender({ ...mending, catalogues: tablesIn(scene).catalogues });
  }

  async run(): Promise<RepairReport> {
    const { apply = false } = this.#options;
    try {
      const before = await this.#find();
      for (const table of [...this.#batches.keys()]) await this.#mend(table);
      // A row that has come with its number must not have it given again.
      if (apply && this.#from === "sqlite") await advanceCounters(this.#databases, this.#scene.graph.tables);
      const verified = apply ? await this.#compare(() => undefined) : before;
      const report = this.#report(apply, verified);
      if (apply) await this.#record(report);
      return report;
    } finally {
      await this.#former.close();
    }
  }

  /** The comparison; null where its result was there already. */
  async #find(): Promise<VerifyReport | null> {
    const { report } = this.#options;
    if (report === undefined) return this.#compare((difference) => this.#take(difference));
    for await (const difference of differencesIn(report)) await this.#take(difference);
    return null;
  }

  #compare(sink: (difference: Difference) => Promise<void> | void): Promise<VerifyReport> {
    return compareScene(this.#databases, this.#scene, this.#options, sink);
  }

  /** What is refused cannot be mended, and what is owed is on its way. */
  async #take(difference: Difference): Promise<void> {
    const { table, key, kind } = difference;
    if (kind === "refused" || kind === "owed" || this.#scene.graph.get(table) === undefined) return;
    const found = this.#tables.get(table) ?? { table, missing: 0, extra: 0, different: 0, differences: [] };
    this.#tables.set(table, found);
    found[kind]++;
    if (found.differences.length < mostInReport) found.differences.push(difference);
    if (this.#options.apply !== true) return;
    const batch = this.#batches.get(table) ?? [];
    this.#batches.set(table, batch);
    if (batch.push(key) >= keysAtOnce) await this.#mend(table);
  }

  async #mend(name: string): Promise<void> {
    const table = this.#scene.graph.get(name);
    const keys = this.#batches.get(name) ?? [];
    if (table === undefined || keys.length === 0) return;
    endIfAsked(this.#options.signal);
    this.#batches.set(name, []);
    const left = await this.#mender.mend(table, keys);
    this.#left.push(...left.slice(0, mostInReport - this.#left.length));
  }

  #report(applied: boolean, verified: VerifyReport | null): RepairReport {
    return {
      applied,
      equal: verified?.equal ?? this.#tables.size === 0,
      from: this.#from,
      armed: livePair(this.#scene) !== null,
      tables: [...this.#tables.values()],
      left: this.#left,
      kept: this.#former.path,
      verified,
    };
  }

  async #record({ equal, armed, tables, left }: RepairReport): Promise<void> {
    if (!armed) return;
    const outcome: Outcome = equal ? "done" : "differs";
    const rows = tables.reduce((sum, { missing, extra, different }) => sum + missing + extra + different, 0);
    const facts = { tables: this.#options.tables ?? null, equal, rows, left: left.length };
    const endedAt = (this.#options.clock ?? Date.now)();
    await recordRun(
      this.#databases.postgres,
      { command: "repair", outcome, beganAt: this.#beganAt, endedAt, facts },
      this.#options.logger,
    );
  }
}

type MutableRepair = { -readonly [Key in keyof TableRepair]: TableRepair[Key] } & { differences: Difference[] };

function assertRepairable({ states }: Scene): void {
  if (states?.postgres.finalized)
    throw new DualDbError(
      "FINALIZED",
      "This PostgreSQL database was finalized: SQLite is no longer part of it, and nothing is mended.",
    );
  assertAtRest(states);
}
