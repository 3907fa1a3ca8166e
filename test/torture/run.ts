import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Side } from "../../src/engines/engine.js";
import { type PostgresServer, startPostgres } from "../support/postgres.js";
import { type FaultProxy, startProxy } from "../support/proxy.js";
import { type Checked, check, type Deviation, rowsOfFile, type StoredRow } from "./check.js";
import { BotError, compileBot, Fleet } from "./fleet.js";
import { type LogLine, readLog } from "./log.js";
import { Model } from "./model.js";
import { copyPackage, type Replacement } from "./package-copy.js";
import { type DatabasePair, makePair } from "./pair.js";
import { type Plan, planOf, type Step } from "./plan.js";
import { Round } from "./round.js";

export interface TortureOptions {
  readonly rounds: number;
  readonly seed: number;
  /** The built package, which is copied first. */
  readonly dist: string;
  /** An empty directory for databases and logs. */
  readonly scratch: string;
  readonly replacements: readonly Replacement[];
  /** A drill that every round is to have; null: as the plan says. */
  readonly drill: string | null;
  report(line: string): void;
}

export interface Summary {
  rounds: number;
  writes: number;
  reads: number;
  unanswered: number;
  readonly failures: Record<string, number>;
  readonly faults: Record<string, number>;
  readonly primary: Record<Side, number>;
  flips: number;
  forced: number;
  forcedRounds: number;
  /** Rounds with a forced roll-back that was not planned. */
  unplanned: number;
  conflicts: number;
  excused: number;
  rowsCompared: number;
  readonly deviations: Record<Deviation["kind"], number>;
  /** What was wrong in the round that ended the run; null where nothing was. */
  failed: { readonly round: number; readonly plan: Plan; readonly deviations: readonly Deviation[] } | null;
}

/** Runs so many rounds, or until the first deviation. */
export async function torture(options: TortureOptions): Promise<Summary> {
  const dist = copyPackage(options.scratch, options.dist, options.replacements);
  const script = compileBot(options.scratch);
  const server = await startPostgres({ settings: { max_connections: 100 } });
  const fleet = new Fleet(script, dist);
  const proxies = await Promise.all([0, 1, 2].map(() => startProxy(server.port)));
  try {
    return await new Torture(options, server, fleet, proxies).run();
  } finally {
    await fleet.end();
    for (const proxy of proxies) await proxy.close();
    await server.stop();
  }
}

class Torture {
  readonly #options: TortureOptions;
  readonly #server: PostgresServer;
  readonly #fleet: Fleet;
  readonly #proxies: readonly FaultProxy[];
  readonly #summary = emptySummary();
  #pair: DatabasePair | null = null;
  #rows: readonly StoredRow[] = [];
  #conflicts = new Set<string>();
  #paired = false;

  constructor(options: TortureOptions, server: PostgresServer, fleet: Fleet, proxies: readonly FaultProxy[]) {
    this.#options = options;
    this.#server = server;
    this.#fleet = fleet;
    this.#proxies = proxies;
  }

  async run(): Promise<Summary> {
    const { rounds, seed, drill } = this.#options;
    for (let round = 1; round <= rounds && this.#summary.failed === null; round++) {
      const plan = planOf(seed, round, drill);
      const deviations = await this.#round(plan).catch((error: unknown) => [hung(error)]);
      this.#summary.rounds += 1;
      for (const { kind } of deviations) this.#summary.deviations[kind] += 1;
      if (deviations.length > 0) this.#summary.failed = { round, plan, deviations };
    }
    return this.#summary;
  }

  async #round(plan: Plan): Promise<readonly Deviation[]> {
    const { scratch, seed } = this.#options;
    const pair = plan.fresh || this.#pair === null ? await this.#freshPair(plan.round) : this.#pair;
    const logs = path.join(scratch, `round-${plan.round}`);
    const known = path.join(scratch, "known.json");
    writeFileSync(known, JSON.stringify(this.#rows.map(({ table, row, values }) => ({ table, row, values }))));
    const parts = { seed, plan, pair, logs, known, paired: this.#paired };
    const round = new Round({ ...parts, server: this.#server, proxies: this.#proxies, fleet: this.#fleet });
    const began = Date.now();
    const { primary, settled, happened } = await round.run();
    this.#summary.primary[primary] += 1;
    for (const [what, times] of Object.entries(happened)) add(this.#summary.faults, what, times);
    const { model, lines } = this.#read(logs, plan);
    const evidence = { before: this.#rows, model, lines, knownConflicts: this.#conflicts };
    const checked = await check(pair, evidence);
    this.#take(checked);
    this.#options.report(
      `round ${plan.round}: ${primary}, ${Date.now() - began} ms, ${checked.compared} rows, ${JSON.stringify(happened)}`,
    );
    const unsettled =
      settled.is === "unsettled" ? settled.status : settled.refused.length > 0 ? JSON.stringify(settled.refused) : null;
    return [...(unsettled === null ? [] : [{ kind: "unsettled" as const, what: unsettled }]), ...checked.deviations];
  }

  async #freshPair(round: number): Promise<DatabasePair> {
    this.#pair = await makePair(this.#server, this.#options.scratch, round);
    this.#rows = await rowsOfFile(this.#pair.sqliteFile);
    this.#conflicts = new Set();
    this.#paired = false;
    return this.#pair;
  }

  #take({ rows, compared, conflicts, excused }: Checked): void {
    this.#rows = rows;
    this.#paired = true;
    for (const conflict of conflicts) this.#conflicts.add(conflict);
    this.#summary.rowsCompared += compared;
    this.#summary.conflicts += conflicts.length;
    this.#summary.excused += excused;
  }

  /** The model of a round, from its logs: each bot's processes in the order in which they ran. */
  #read(logs: string, plan: Plan): { readonly model: Model; readonly lines: readonly LogLine[] } {
    const model = new Model(this.#rows);
    const all: LogLine[] = [];
    for (const file of readdirSync(logs).sort((one, other) => one.localeCompare(other, "en", { numeric: true }))) {
      const lines = readLog(path.join(logs, file));
      for (const line of lines) model.take(file, line);
      all.push(...lines);
    }
    this.#tally(all, model, plan);
    return { model, lines: all };
  }

  #tally(lines: readonly LogLine[], model: Model, plan: Plan): void {
    const summary = this.#summary;
    summary.unanswered += model.unanswered;
    const reads = new Set<number>();
    const direct = new Set<number>();
    let forced = 0;
    for (const line of lines) {
      if (line.is === "intent" && line.effects.length === 0) reads.add(line.call);
      if (line.is === "intent" && line.effects.length > 0) reads.delete(line.call);
      if (line.is === "intent") direct[line.name.startsWith("console") ? "add" : "delete"](line.call);
      if (line.is === "answer") summary[reads.has(line.call) ? "reads" : "writes"] += 1;
      if (line.is === "failure" || line.is === "unknown")
        add(summary.failures, direct.has(line.call) ? `console ${line.code}` : line.code, 1);
      if (line.is !== "event") continue;
      if (line.event === "forced-roll-back") forced += 1;
      if (line.event === "flip-step" && /^enter-/.test(String(line.fields.step))) summary.flips += 1;
    }
    summary.forced += forced;
    if (forced > 0) summary.forcedRounds += 1;
    if (forced > 0 && !plan.steps.some(isForced)) summary.unplanned += 1;
  }
}

function isForced(step: Step): boolean {
  return step.kind === "forced" || (step.kind === "drill" && step.name === "forced recovery");
}

function add(counts: Record<string, number>, what: string, times: number): void {
  counts[what] = (counts[what] ?? 0) + times;
}

/** A bot that never answered is the package's failure; whatever else goes wrong here is the run's own. */
function hung(error: unknown): Deviation {
  if (!(error instanceof BotError)) throw error;
  return { kind: "unsettled", what: error.message };
}

function emptySummary(): Summary {
  return {
    rounds: 0,
    writes: 0,
    reads: 0,
    unanswered: 0,
    failures: {},
    faults: {},
    primary: { sqlite: 0, postgres: 0 },
    flips: 0,
    forced: 0,
    forcedRounds: 0,
    unplanned: 0,
    conflicts: 0,
    excused: 0,
    rowsCompared: 0,
    deviations: { lost: 0, different: 0, resurrected: 0, phantom: 0, stale: 0, failed: 0, unsettled: 0 },
    failed: null,
  };
}
