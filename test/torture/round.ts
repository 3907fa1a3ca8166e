import { mkdirSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Side } from "../../src/engines/engine.js";
import { type Flags, routeOf } from "../../src/route.js";
import type { PostgresServer } from "../support/postgres.js";
import { runAt } from "../support/postgres.js";
import type { FaultProxy } from "../support/proxy.js";
import { playDrill } from "./drills.js";
import { BotError, type BotProcess, type Fleet } from "./fleet.js";
import type { FromBot, TrapOrder } from "./messages.js";
import { type DatabasePair, stateOfFile } from "./pair.js";
import type { Plan, Step } from "./plan.js";
import { Random } from "./random.js";
import type { Stage } from "./scene.js";

export interface RoundParts {
  readonly seed: number;
  readonly plan: Plan;
  readonly pair: DatabasePair;
  readonly server: PostgresServer;
  /** One for each slot. */
  readonly proxies: readonly FaultProxy[];
  readonly fleet: Fleet;
  readonly logs: string;
  /** File of the rows that were there before. */
  readonly known: string;
  /** Whether the databases have been brought together. */
  readonly paired: boolean;
}

export interface RoundResult {
  /** The side that was primary when the bots were stopped, then the one after everything was settled. */
  readonly primary: Side;
  readonly settled: FromBot & { readonly is: "settled" | "unsettled" };
  /** What happened, by kind. */
  readonly happened: Readonly<Record<string, number>>;
}

const leastWrites = 200;
const patienceMs = 120_000;
const whileMs = 300;
/** Long enough for a pass that goes on. */
const afterwardsMs = 150;

interface Slot {
  readonly number: number;
  process: BotProcess;
  flags: Flags;
  life: number;
  readonly logs: string[];
  /** Writes answered in earlier lives. */
  before: number;
}

/** Runs the bots of one round through its faults, then brings everything up and lets the databases settle. */
export class Round {
  readonly #parts: RoundParts;
  readonly #slots: Slot[] = [];
  readonly #happened: Record<string, number> = {};
  #postgresIsUp = true;
  readonly #cutOff = new Set<number>();
  readonly #launched: Promise<void>[] = [];
  /** Bots that a drill has stopped. */
  readonly #atRest = new Set<Slot>();

  constructor(parts: RoundParts) {
    this.#parts = parts;
  }

  async run(): Promise<RoundResult> {
    const { plan, logs } = this.#parts;
    mkdirSync(logs);
    const [first, ...others] = plan.flags.map((flags, number) => () => this.#open(number, flags));
    await first?.();
    if (plan.fresh) await this.#go(10);
    await Promise.all(others.map((open) => open()));
    for (const step of plan.steps) await this.#perform(step);
    if (Object.keys(this.#happened).length === 0)
      await this.#replace(0, { ...this.#slot(0).flags, primary: true }, "kill");
    await this.#untilWritten();
    const { primary } = await stateOfFile(this.#parts.pair.sqliteFile);
    await this.#end();
    return { primary, settled: await this.#settle(), happened: this.#happened };
  }

  async #open(number: number, flags: Flags): Promise<void> {
    const process = this.#parts.fleet.take();
    const slot: Slot = { number, process, flags, life: 0, logs: [], before: 0 };
    this.#slots[number] = slot;
    await this.#start(slot, flags);
  }

  async #start(slot: Slot, flags: Flags, quiet = false): Promise<void> {
    const { plan, seed, pair, logs, known, paired } = this.#parts;
    slot.flags = flags;
    const log = `${slot.number}-${slot.life}.jsonl`;
    await slot.process.start({
      do: "start",
      env: this.#environment(slot.number, flags),
      seed,
      round: plan.round,
      slot: slot.number,
      slots: plan.flags.length,
      life: slot.life,
      logs,
      log,
      earlier: [...slot.logs],
      known,
      direct: { sqliteFile: pair.sqliteFile, postgresUrl: paired ? this.#urlFor(slot.number) : null },
      route: routeOf(flags).name,
      quiet,
    });
    slot.logs.push(log);
  }

  #environment(slot: number, { primary, read, shadow }: Flags): NodeJS.ProcessEnv {
    return {
      ...limits,
      DATABASE_URL: this.#urlFor(slot),
      SQLITE_DB_PATH: this.#parts.pair.sqliteFile,
      USE_POSTGRES_PRIMARY: String(primary),
      USE_POSTGRES_READ: String(read),
      USE_POSTGRES_SHADOW: String(shadow),
    };
  }

  #urlFor(slot: number): string {
    const url = new URL(this.#parts.pair.postgresUrl);
    url.port = String(this.#parts.proxies[slot]?.port);
    return url.href;
  }

  async #perform(step: Step): Promise<void> {
    switch (step.kind) {
      case "go":
        return this.#go(step.writes);
      case "kill":
      case "restart":
        return this.#replace(step.slot, step.flags, step.kind);
      case "crash":
        return this.#crash(step.during);
      case "freeze":
        return this.#freeze(step.during);
      case "cut":
        this.#count("cut");
        return this.#proxy(step.slot).cut();
      case "cut-after":
        this.#count("cut");
        this.#proxy(step.slot).cutAfter(step.bytes);
        return;
      case "refuse":
        return this.#refuse(step.slot, step.during);
      case "trap":
        return this.#trap(step);
      case "forced":
        return this.#force(step.flags, step.during);
      case "drill":
        return this.#drill(step.name, step.side);
    }
  }

  #count(what: string): void {
    this.#happened[what] = (this.#happened[what] ?? 0) + 1;
  }

  #proxy(slot: number): FaultProxy {
    const proxy = this.#parts.proxies[slot];
    if (proxy === undefined) throw new Error(`no proxy for bot ${slot}`);
    return proxy;
  }

  #slot(number: number): Slot {
    const slot = this.#slots[number];
    if (slot === undefined) throw new Error(`no bot ${number}`);
    return slot;
  }

  get #written(): number {
    return this.#slots.reduce((sum, { before, process }) => sum + before + process.answered, 0);
  }

  async #go(writes: number): Promise<void> {
    const goal = this.#written + writes;
    const until = Date.now() + whileMs;
    while (this.#written < goal && Date.now() < until) await sleep(5);
  }

  async #untilWritten(): Promise<void> {
    const until = Date.now() + patienceMs;
    while (this.#written < leastWrites) {
      if (Date.now() > until) throw new BotError(`only ${this.#written} writes were answered in ${patienceMs} ms`);
      await this.#reviveDead();
      await sleep(5);
    }
  }

  /** A trap that strikes late leaves a bot dead. */
  async #reviveDead(): Promise<void> {
    for (const slot of this.#slots) if (!slot.process.alive) await this.#replace(slot.number, slot.flags, "kill");
  }

  async #replace(number: number, flags: Flags, kind: "kill" | "restart"): Promise<void> {
    const slot = this.#slot(number);
    if (await this.#wouldForce(number, flags)) return;
    this.#count(flags.primary === slot.flags.primary ? kind : `${kind} with the other primary`);
    if (kind === "restart" && slot.process.alive) await slot.process.stop();
    else await slot.process.kill();
    await this.#again(slot, flags);
  }

  async #again(slot: Slot, flags: Flags, quiet = false): Promise<void> {
    slot.before += slot.process.answered;
    slot.life += 1;
    if (!slot.process.alive) slot.process = this.#parts.fleet.take();
    await this.#start(slot, flags, quiet);
  }

  /** A roll-back while PostgreSQL cannot be reached happens only where the plan has it. */
  async #wouldForce(slot: number, flags: Flags): Promise<boolean> {
    if (flags.primary || (this.#postgresIsUp && !this.#cutOff.has(slot))) return false;
    return (await stateOfFile(this.#parts.pair.sqliteFile)).primary === "postgres";
  }

  async #crash(during: readonly Step[]): Promise<void> {
    this.#count("crash of PostgreSQL");
    await this.#parts.server.crash();
    this.#postgresIsUp = false;
    for (const step of during) await this.#perform(step);
    await this.#parts.server.restart();
    this.#postgresIsUp = true;
  }

  async #freeze(during: readonly Step[]): Promise<void> {
    this.#count("freeze of PostgreSQL");
    this.#parts.server.freeze();
    for (const step of during) await this.#perform(step);
    this.#parts.server.thaw();
  }

  async #refuse(slot: number, during: readonly Step[]): Promise<void> {
    this.#count("link down");
    const proxy = this.#proxy(slot);
    proxy.refuse();
    proxy.cut();
    this.#cutOff.add(slot);
    for (const step of during) await this.#perform(step);
    proxy.accept();
    this.#cutOff.delete(slot);
  }

  async #trap(step: Step & { readonly kind: "trap" }): Promise<void> {
    const { point, skip, action, cut } = step;
    if (step.late) await this.#untilWritten();
    const held = step.backlog ? await this.#holdUp(step.slot) : null;
    const places = held === null ? [this.#slot(step.slot)] : this.#slots;
    const springing = places.map((slot) =>
      this.#set(slot, { do: "trap", point, skip: held === null ? skip : 0, action }),
    );
    held?.process.send({ do: "resume-and-keep-trap" });
    const hit = await Promise.race([
      ...springing,
      this.#slot(step.slot).process.ended.then(() => null),
      sleep(600, null),
    ]);
    for (const slot of places) if (slot !== hit) slot.process.send({ do: "resume" });
    if (action === "kill") return this.#afterDeath(this.#slot(step.slot), step);
    if (hit !== null) await this.#overtake(hit, `relay stopped ${point}${cut ? " and cut off" : ""}`, step);
  }

  /** Resolves when the trap has been sprung. */
  #set(slot: Slot, order: TrapOrder): Promise<Slot | null> {
    return slot.process.trap(order).then(
      () => slot,
      () => new Promise<null>(() => {}),
    );
  }

  /** One relay keeps the lock while the bots go on. */
  async #holdUp(number: number): Promise<Slot | null> {
    const slot = this.#slot(number);
    const sprung = this.#set(slot, { do: "trap", point: "after-apply", skip: 0, action: "wait" });
    const held = await Promise.race([sprung, sleep(600, null)]);
    if (held === null) slot.process.send({ do: "resume" });
    else await this.#go(60);
    return held;
  }

  async #overtake(slot: Slot, what: string, { cut, during, late }: Step & { readonly kind: "trap" }): Promise<void> {
    const { process } = slot;
    this.#count(what);
    if (cut) this.#proxy(slot.number).cut();
    for (const next of during) await this.#perform(turned(next, slot.number, this.#slots.length));
    process.signal("SIGCONT");
    process.send({ do: "resume" });
    if (late) await sleep(afterwardsMs);
  }

  async #afterDeath(slot: Slot, { point, flags }: Step & { readonly kind: "trap" }): Promise<void> {
    if (slot.process.alive) return slot.process.send({ do: "resume" });
    this.#count(`kill ${point}`);
    if (!(await this.#wouldForce(slot.number, flags))) await this.#again(slot, flags);
  }

  async #force(flags: readonly Flags[], during: readonly Step[]): Promise<void> {
    await this.#go(20);
    this.#count("planned roll-back without PostgreSQL");
    await this.#parts.server.crash();
    await Promise.all(this.#slots.map((slot) => slot.process.kill()));
    await Promise.all(this.#slots.map((slot) => this.#again(slot, flags[slot.number] ?? slot.flags)));
    for (const step of during) await this.#perform(step);
    await this.#parts.server.restart();
  }

  /** Afterwards the bots go on as the drill has left them. */
  async #drill(name: string, side: Side): Promise<void> {
    for (const { number } of this.#slots) this.#proxy(number).accept();
    const hit = await playDrill(this.#stage(), name, side);
    this.#count(`drill ${name}${hit ? "" : " (missed)"}`);
    for (const { number, process } of this.#slots) {
      process.signal("SIGCONT");
      process.send({ do: "resume" });
      this.#proxy(number).accept();
    }
    await Promise.all(this.#launched.splice(0));
    for (const slot of this.#atRest) await this.#again(slot, slot.flags);
    this.#atRest.clear();
    await this.#reviveDead();
    for (const { process } of this.#slots) process.send({ do: "speak" });
  }

  #stage(): Stage {
    const { seed, plan, pair, logs } = this.#parts;
    const random = new Random(seed, plan.round, "drill");
    const open = async (number: number, flags: Flags, how: "kill" | "stop" = random.chance(0.3) ? "kill" : "stop") => {
      const slot = this.#slot(number);
      if (how === "stop" && slot.process.alive) await slot.process.stop();
      else await slot.process.kill();
      this.#atRest.delete(slot);
      await this.#again(slot, flags, true);
    };
    return {
      round: plan.round,
      random,
      pair,
      logs,
      open,
      launch: (number, flags) => {
        const opened = open(number, flags);
        opened.catch(() => {});
        this.#launched.push(opened);
        return { opened };
      },
      stop: async (number) => {
        const slot = this.#slot(number);
        if (slot.process.alive) await slot.process.stop();
        this.#atRest.add(slot);
      },
      ask: (number, request) => this.#slot(number).process.ask(request),
      trap: (number, order) => this.#slot(number).process.trap(order),
      resume: (number) => this.#slot(number).process.send({ do: "resume" }),
      signal: (number, signal) => this.#slot(number).process.signal(signal),
      cut: (number) => this.#proxy(number).cut(),
      link: (number, up) => {
        const proxy = this.#proxy(number);
        if (up) proxy.accept();
        else {
          proxy.refuse();
          proxy.cut();
        }
      },
      logOf: (number) => path.join(logs, `${number}-${this.#slot(number).life}.jsonl`),
    };
  }

  async #end(): Promise<void> {
    const { plan, fleet, proxies, pair } = this.#parts;
    for (const proxy of proxies) proxy.accept();
    await Promise.all(
      this.#slots.map(({ number, process }) =>
        plan.endings[number] === "stop" && process.alive ? process.stop() : process.kill(),
      ),
    );
    for (const { process } of this.#slots) fleet.giveBack(process);
    for (const proxy of proxies) proxy.cut();
    await endSessions(pair.postgresUrl);
  }

  async #settle(): Promise<RoundResult["settled"]> {
    const { primary } = await stateOfFile(this.#parts.pair.sqliteFile);
    const process = this.#parts.fleet.take();
    await process.ready;
    const settled = process.wait("settled", "unsettled");
    const flags = { primary: primary === "postgres", read: false, shadow: true };
    process.send({ do: "settle", env: this.#environment(0, flags), log: path.join(this.#parts.logs, "9-0.jsonl") });
    const result = await settled;
    this.#parts.fleet.giveBack(process);
    if (result.is !== "settled" && result.is !== "unsettled") throw new Error("the answer is none");
    return result;
  }
}

/** A step that was planned for another bot than the one that is held. */
function turned(step: Step, held: number, slots: number): Step {
  return "slot" in step && step.slot === held ? { ...step, slot: (held + 1) % slots } : step;
}

const limits = {
  POSTGRES_QUERY_TIMEOUT_MS: "5000",
  POSTGRES_POOL_SIZE: "8",
  FLIP_TIMEOUT_MS: "30000",
};

/** Statements of dead bots come to nothing or to an end before anything is compared. */
async function endSessions(url: string): Promise<void> {
  for (;;) {
    const rows = await runAt(
      url,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
    );
    if (rows.length === 0) return;
    await sleep(5);
  }
}
