import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Side } from "../../src/engines/engine.js";
import { type PostgresServer, startPostgres } from "../support/postgres.js";
import { type FaultProxy, startProxy } from "../support/proxy.js";
import { Calls } from "./calls.js";
import { type Checked, check, rowsOfFile } from "./check.js";
import { BotError, compileBot, Fleet } from "./fleet.js";
import type { Deviation, StoredRow } from "./judge.js";
import { readLog } from "./log.js";
import { Model } from "./model.js";
import { copyPackage, type Replacement } from "./package-copy.js";
import { type DatabasePair, makePair } from "./pair.js";
import { type Plan, planOf, type Step } from "./plan.js";
import type { BotLog } from "./roll-back.js";
import { Round, type RoundResult } from "./round.js";

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
  /** Calls of the four services' functions among them, and in the round that had the fewest. */
  services: number;
  leastServices: number;
  /** In the round that had the fewest. */
  leastFaults: number;
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
  const server = await startPostgres({ settings: { max_connections: 100, track_commit_timestamp: "on" } });
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
    const directory = path.join(scratch, `round-${plan.round}`);
    const known = path.join(scratch, "known.json");
    writeFileSync(known, JSON.stringify(this.#rows.map(({ table, row, values }) => ({ table, row, values }))));
    const parts = { seed, plan, pair, logs: directory, known, paired: this.#paired };
    const round = new Round({ ...parts, server: this.#server, proxies: this.#proxies, fleet: this.#fleet });
    const began = Date.now();
    const result = await round.run();
    const logs = readLogs(directory);
    const model = new Model(this.#rows);
    for (const { source, lines } of logs) for (const line of lines) model.take(source, line);
    this.#tally(result, logs, model, plan);
    const checked = await check(pair, { before: this.#rows, model, logs, troubles: result.troubles });
    this.#take(checked);
    this.#options.report(
      `round ${plan.round}: ${result.primary}, ${Date.now() - began} ms, ${checked.compared} rows, ${JSON.stringify(result.happened)}`,
    );
    return [...unsettledBy(result), ...checked.deviations];
  }

  async #freshPair(round: number): Promise<DatabasePair> {
    this.#pair = await makePair(this.#server, this.#options.scratch, round);
    this.#rows = await rowsOfFile(this.#pair.sqliteFile);
    this.#paired = false;
    return this.#pair;
  }

  #take({ rows, compared, conflicts, excused }: Checked): void {
    this.#rows = rows;
    this.#paired = true;
    this.#summary.rowsCompared += compared;
    this.#summary.conflicts += conflicts;
    this.#summary.excused += excused;
  }

  #tally(result: RoundResult, logs: readonly BotLog[], model: Model, plan: Plan): void {
    const summary = this.#summary;
    summary.primary[result.primary] += 1;
    for (const [what, times] of Object.entries(result.happened)) add(summary.faults, what, times);
    summary.unanswered += model.unanswered;
    const answered = answeredIn(logs);
    for (const kind of ["writes", "reads", "services"] as const) summary[kind] += answered[kind];
    summary.leastServices = Math.min(summary.leastServices, answered.services);
    summary.leastFaults = Math.min(summary.leastFaults, result.faults);
    for (const code of failuresIn(logs)) add(summary.failures, code, 1);
    const events = logs.flatMap(({ lines }) => lines.filter((line) => line.is === "event"));
    const forced = events.filter(({ event }) => event === "forced-roll-back").length;
    summary.flips += events.filter(({ event, fields }) => event === "flip-step" && isEntry(fields.step)).length;
    summary.forced += forced;
    if (forced > 0) summary.forcedRounds += 1;
    if (forced > 0 && !plan.steps.some(isForced)) summary.unplanned += 1;
  }
}

/** Each bot's processes in the order in which they ran. */
function readLogs(directory: string): BotLog[] {
  const files = readdirSync(directory).sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
  return files.map((source) => ({ source, lines: readLog(path.join(directory, source)) }));
}

function answeredIn(logs: readonly BotLog[]): { writes: number; reads: number; services: number } {
  const answered = { writes: 0, reads: 0, services: 0 };
  for (const { source, lines } of logs) {
    const calls = new Calls(source, lines);
    for (const line of lines) {
      const call = calls.take(line);
      if (call === null || call.code !== null) continue;
      answered[call.isRead ? "reads" : "writes"] += 1;
      if (call.via === "service") answered.services += 1;
    }
  }
  return answered;
}

/** The codes of failed calls; a console's are named as such. */
function failuresIn(logs: readonly BotLog[]): string[] {
  return logs.flatMap(({ source, lines }) => {
    const calls = new Calls(source, lines);
    const failed = lines.map((line) => calls.take(line)).filter((call) => call !== null && call.code !== null);
    return failed.map((call) => `${call?.via.startsWith("console") ? "console " : ""}${call?.code}`);
  });
}

function unsettledBy({ settled }: RoundResult): Deviation[] {
  if (settled.is === "unsettled") return [{ kind: "unsettled", what: settled.status }];
  return settled.refused.length > 0 ? [{ kind: "unsettled", what: JSON.stringify(settled.refused) }] : [];
}

function isEntry(step: unknown): boolean {
  return /^enter-/.test(String(step));
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

export function emptySummary(): Summary {
  return {
    rounds: 0,
    writes: 0,
    reads: 0,
    services: 0,
    leastServices: Number.POSITIVE_INFINITY,
    leastFaults: Number.POSITIVE_INFINITY,
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
