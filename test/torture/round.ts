import { mkdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Side } from "../../src/engines/engine.js";
import type { Flags } from "../../src/route.js";
import type { PostgresServer } from "../support/postgres.js";
import { runAt } from "../support/postgres.js";
import { type AddedColumn, addedBy } from "./added-columns.js";
import { Cast, type CastParts, type Slot } from "./cast.js";
import { playDrill } from "./drills.js";
import { BotError } from "./fleet.js";
import { observeSqlite } from "./observers.js";
import type { Answered, FromBot, TrapOrder } from "./orders.js";
import { addColumn, stateOfFile } from "./pair.js";
import type { Step } from "./plan.js";
import { Stage } from "./stage.js";
import { type Trouble, Troubles } from "./troubles.js";

export interface RoundParts extends Omit<CastParts, "troubles"> {
  readonly server: PostgresServer;
}

export interface RoundResult {
  /** The side that was primary when the bots were stopped, then the one after everything was settled. */
  readonly primary: Side;
  readonly settled: FromBot & { readonly is: "settled" | "unsettled" };
  /** What happened, by kind. */
  readonly happened: Readonly<Record<string, number>>;
  /** How much of that was a fault: a bot killed or stopped, PostgreSQL or the way to it in trouble, other flags. */
  readonly faults: number;
  readonly answered: Answered;
  readonly troubles: readonly Trouble[];
}

/** Acknowledged in a round: calls of the four services' functions, and writes of any kind. */
export const least: Answered = { services: 200, writes: 200 };
const patienceMs = 120_000;
const whileMs = 300;
/** A relay that reaches its trap later is not waited for. */
const springMs = 600;
/** Long enough for a pass that goes on. */
const afterwardsMs = 150;

/** Runs the bots of one round through its faults, then brings everything up and lets the databases settle. */
export class Round {
  readonly #parts: RoundParts;
  readonly #cast: Cast;
  readonly #happened: Record<string, number> = {};
  readonly #troubles = new Troubles();
  #faults = 0;
  #postgresIsUp = true;
  readonly #cutOff = new Set<number>();

  constructor(parts: RoundParts) {
    this.#parts = parts;
    this.#cast = new Cast({ ...parts, troubles: this.#troubles });
  }

  async run(): Promise<RoundResult> {
    const { plan, logs } = this.#parts;
    mkdirSync(logs);
    const [first, ...others] = plan.flags.map((flags, number) => () => this.#cast.open(number, flags));
    await first?.();
    if (plan.fresh) await observeSqlite(this.#parts.pair);
    if (plan.fresh) await this.#go(10);
    await Promise.all(others.map((open) => open()));
    for (const step of plan.steps) await this.#perform(step);
    if (this.#faults === 0) await this.#replace(0, { ...this.#cast.slot(0).flags, primary: true }, "kill");
    await this.#untilAnswered();
    const { answered } = this.#cast;
    const { primary } = await stateOfFile(this.#parts.pair.sqliteFile);
    await this.#cast.end();
    await endSessions(this.#parts.pair.postgresUrl);
    const settled = await this.#cast.settle();
    const { all: troubles } = this.#troubles;
    return { primary, settled, happened: this.#happened, faults: this.#faults, answered, troubles };
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
        return this.#cut(step.slot);
      case "cut-after":
        void this.#cast.cutAfter(step.slot, step.bytes).then(() => this.#count("cut", true));
        return;
      case "refuse":
        return this.#refuse(step.slot, step.during);
      case "trap":
        return this.#trap(step);
      case "forced":
        return this.#force(step.flags, step.during);
      case "column":
        return this.#addColumn(step.table, step.first);
      case "drill":
        return this.#drill(step.name, step.side);
    }
  }

  #count(what: string, isFault: boolean): void {
    this.#happened[what] = (this.#happened[what] ?? 0) + 1;
    if (isFault) this.#faults += 1;
  }

  async #go(writes: number): Promise<void> {
    const goal = this.#cast.answered.writes + writes;
    const until = Date.now() + whileMs;
    while (this.#cast.answered.writes < goal && Date.now() < until) await sleep(5);
  }

  async #untilAnswered(): Promise<void> {
    const until = Date.now() + patienceMs;
    for (;;) {
      const { writes, services } = this.#cast.answered;
      if (writes >= least.writes && services >= least.services) return;
      if (Date.now() > until)
        throw new BotError(`only ${writes} writes and ${services} service calls were answered in ${patienceMs} ms`);
      await this.#cast.reviveDead();
      await sleep(5);
    }
  }

  async #replace(number: number, flags: Flags, kind: "kill" | "restart"): Promise<void> {
    const slot = this.#cast.slot(number);
    if (await this.#wouldForce(number, flags)) return;
    const isOther = flags.primary !== slot.flags.primary;
    const isChanged = isOther || flags.read !== slot.flags.read || flags.shadow !== slot.flags.shadow;
    const how = isOther ? `${kind} with the other primary` : isChanged ? `${kind} with other flags` : kind;
    this.#count(how, kind === "kill" || isChanged);
    if (kind === "restart" && slot.process.alive) await slot.process.stop();
    else await slot.process.kill();
    await this.#cast.again(slot, flags);
  }

  /** A roll-back while PostgreSQL cannot be reached happens only where the plan has it. */
  async #wouldForce(slot: number, flags: Flags): Promise<boolean> {
    if (flags.primary || (this.#postgresIsUp && !this.#cutOff.has(slot))) return false;
    return (await stateOfFile(this.#parts.pair.sqliteFile)).primary === "postgres";
  }

  async #crash(during: readonly Step[]): Promise<void> {
    this.#count("crash of PostgreSQL", true);
    this.#troubles.begin("down", null);
    await this.#parts.server.crash();
    this.#postgresIsUp = false;
    for (const step of during) await this.#perform(step);
    await this.#parts.server.restart();
    this.#troubles.end("down", null);
    this.#postgresIsUp = true;
  }

  async #freeze(during: readonly Step[]): Promise<void> {
    this.#count("freeze of PostgreSQL", true);
    this.#troubles.begin("frozen", null);
    this.#parts.server.freeze();
    for (const step of during) await this.#perform(step);
    this.#parts.server.thaw();
    this.#troubles.end("frozen", null);
  }

  /** A bot that has no connection notices nothing. */
  #cut(slot: number): void {
    if (this.#cast.cut(slot) > 0) this.#count("cut", true);
    else this.#count("cut of nothing", false);
  }

  async #refuse(slot: number, during: readonly Step[]): Promise<void> {
    const cut = this.#cast.link(slot, false);
    this.#count(cut > 0 ? "link down" : "unused link down", cut > 0);
    this.#cutOff.add(slot);
    for (const step of during) await this.#perform(step);
    this.#cast.link(slot, true);
    this.#cutOff.delete(slot);
  }

  async #trap(step: Step & { readonly kind: "trap" }): Promise<void> {
    const { point, skip, action, cut } = step;
    if (step.late) await this.#untilAnswered();
    const held = step.backlog ? await this.#holdUp(step.slot) : null;
    const places = held === null ? [this.#cast.slot(step.slot)] : this.#cast.slots;
    const springing = places.map((slot) =>
      this.#set(slot, {
        do: "trap",
        point,
        skip: held === null ? skip : 0,
        action: action === "kill" ? "kill" : "hold",
      }),
    );
    held?.process.send({ do: "resume-and-keep-trap" });
    const hit = await Promise.race([
      ...springing,
      this.#cast.slot(step.slot).process.ended.then(() => null),
      sleep(springMs, null),
    ]);
    for (const slot of places) if (slot !== hit) slot.process.send({ do: "resume" });
    if (action === "kill") return this.#afterDeath(this.#cast.slot(step.slot), step);
    if (hit !== null) await this.#overtake(hit, `relay stopped ${point}${cut ? " and cut off" : ""}`, step);
  }

  /** Resolves when the trap has been sprung: the relay stands there until its bot is told to go on, whether or not that is heard of in time. */
  #set(slot: Slot, order: TrapOrder): Promise<Slot | null> {
    return slot.process.trap(order).then(
      () => slot,
      () => new Promise<null>(() => {}),
    );
  }

  /** One relay keeps the lock while the bots go on. */
  async #holdUp(number: number): Promise<Slot | null> {
    const slot = this.#cast.slot(number);
    const sprung = this.#set(slot, { do: "trap", point: "after-apply", skip: 0, action: "hold" });
    const held = await Promise.race([sprung, sleep(springMs, null)]);
    if (held === null) slot.process.send({ do: "resume" });
    else await this.#go(60);
    return held;
  }

  /** Here, and not in the bot, the process is stopped, so that nothing can let it go on before it has been. */
  async #overtake(slot: Slot, what: string, step: Step & { readonly kind: "trap" }): Promise<void> {
    const { process } = slot;
    const { action, cut, during, late } = step;
    this.#count(what, true);
    if (action === "stop") this.#cast.freeze(slot);
    if (cut) this.#cast.cut(slot.number);
    for (const next of during) await this.#perform(turned(next, slot.number, this.#cast.slots.length));
    this.#cast.thaw(slot);
    process.send({ do: "resume" });
    if (late) await sleep(afterwardsMs);
  }

  async #afterDeath(slot: Slot, { point, flags }: Step & { readonly kind: "trap" }): Promise<void> {
    if (slot.process.alive) return slot.process.send({ do: "resume" });
    this.#count(`kill ${point}`, true);
    if (!(await this.#wouldForce(slot.number, flags))) await this.#cast.again(slot, flags);
  }

  async #force(flags: readonly Flags[], during: readonly Step[]): Promise<void> {
    await this.#go(20);
    this.#count("planned roll-back without PostgreSQL", true);
    this.#troubles.begin("down", null);
    await this.#parts.server.crash();
    await Promise.all(this.#cast.slots.map((slot) => slot.process.kill()));
    await Promise.all(this.#cast.slots.map((slot) => this.#cast.again(slot, flags[slot.number] ?? slot.flags)));
    for (const step of during) await this.#perform(step);
    await this.#parts.server.restart();
    this.#troubles.end("down", null);
  }

  /** Somebody changes the application's tables under the bots, one side after the other. */
  async #addColumn(table: AddedColumn["table"], first: Side): Promise<void> {
    const { pair, plan } = this.#parts;
    const added = { table, column: addedBy(plan.round) };
    this.#troubles.begin("one-sided", null);
    await addColumn(pair, first, added);
    await this.#go(5);
    await addColumn(pair, first === "sqlite" ? "postgres" : "sqlite", added);
    this.#troubles.end("one-sided", null);
    pair.columns.push(added);
    this.#count(`column added, ${first} first`, false);
    this.#cast.know(added);
  }

  async #drill(name: string, side: Side): Promise<void> {
    for (const { number } of this.#cast.slots) this.#cast.link(number, true);
    const stage = new Stage(this.#cast, this.#parts);
    const hit = await playDrill(stage, name, side);
    this.#count(`drill ${name}${hit ? "" : " (missed)"}`, hit);
    await stage.clear();
  }
}

/** A step that was planned for another bot than the one that is held. */
function turned(step: Step, held: number, slots: number): Step {
  return "slot" in step && step.slot === held ? { ...step, slot: (held + 1) % slots } : step;
}

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
