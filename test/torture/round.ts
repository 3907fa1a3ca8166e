import { mkdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Side } from "../../src/engines/engine.js";
import type { Flags } from "../../src/route.js";
import type { PostgresServer } from "../support/postgres.js";
import { runAt } from "../support/postgres.js";
import { Cast, type CastParts, type Slot } from "./cast.js";
import { playDrill } from "./drills.js";
import { BotError } from "./fleet.js";
import type { FromBot, TrapOrder } from "./messages.js";
import { stateOfFile } from "./pair.js";
import type { Step } from "./plan.js";
import { Stage } from "./stage.js";

export interface RoundParts extends CastParts {
  readonly server: PostgresServer;
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

/** Runs the bots of one round through its faults, then brings everything up and lets the databases settle. */
export class Round {
  readonly #parts: RoundParts;
  readonly #cast: Cast;
  readonly #happened: Record<string, number> = {};
  #postgresIsUp = true;
  readonly #cutOff = new Set<number>();

  constructor(parts: RoundParts) {
    this.#parts = parts;
    this.#cast = new Cast(parts);
  }

  async run(): Promise<RoundResult> {
    const { plan, logs } = this.#parts;
    mkdirSync(logs);
    const [first, ...others] = plan.flags.map((flags, number) => () => this.#cast.open(number, flags));
    await first?.();
    if (plan.fresh) await this.#go(10);
    await Promise.all(others.map((open) => open()));
    for (const step of plan.steps) await this.#perform(step);
    if (Object.keys(this.#happened).length === 0)
      await this.#replace(0, { ...this.#cast.slot(0).flags, primary: true }, "kill");
    await this.#untilWritten();
    const { primary } = await stateOfFile(this.#parts.pair.sqliteFile);
    await this.#cast.end();
    await endSessions(this.#parts.pair.postgresUrl);
    return { primary, settled: await this.#cast.settle(), happened: this.#happened };
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
        return this.#cast.proxy(step.slot).cut();
      case "cut-after":
        this.#count("cut");
        this.#cast.proxy(step.slot).cutAfter(step.bytes);
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

  async #go(writes: number): Promise<void> {
    const goal = this.#cast.written + writes;
    const until = Date.now() + whileMs;
    while (this.#cast.written < goal && Date.now() < until) await sleep(5);
  }

  async #untilWritten(): Promise<void> {
    const until = Date.now() + patienceMs;
    while (this.#cast.written < leastWrites) {
      if (Date.now() > until) throw new BotError(`only ${this.#cast.written} writes were answered in ${patienceMs} ms`);
      await this.#cast.reviveDead();
      await sleep(5);
    }
  }

  async #replace(number: number, flags: Flags, kind: "kill" | "restart"): Promise<void> {
    const slot = this.#cast.slot(number);
    if (await this.#wouldForce(number, flags)) return;
    this.#count(flags.primary === slot.flags.primary ? kind : `${kind} with the other primary`);
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
    const proxy = this.#cast.proxy(slot);
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
    const places = held === null ? [this.#cast.slot(step.slot)] : this.#cast.slots;
    const springing = places.map((slot) =>
      this.#set(slot, { do: "trap", point, skip: held === null ? skip : 0, action }),
    );
    held?.process.send({ do: "resume-and-keep-trap" });
    const hit = await Promise.race([
      ...springing,
      this.#cast.slot(step.slot).process.ended.then(() => null),
      sleep(600, null),
    ]);
    for (const slot of places) if (slot !== hit) slot.process.send({ do: "resume" });
    if (action === "kill") return this.#afterDeath(this.#cast.slot(step.slot), step);
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
    const slot = this.#cast.slot(number);
    const sprung = this.#set(slot, { do: "trap", point: "after-apply", skip: 0, action: "wait" });
    const held = await Promise.race([sprung, sleep(600, null)]);
    if (held === null) slot.process.send({ do: "resume" });
    else await this.#go(60);
    return held;
  }

  async #overtake(slot: Slot, what: string, { cut, during, late }: Step & { readonly kind: "trap" }): Promise<void> {
    const { process } = slot;
    this.#count(what);
    if (cut) this.#cast.proxy(slot.number).cut();
    for (const next of during) await this.#perform(turned(next, slot.number, this.#cast.slots.length));
    process.signal("SIGCONT");
    process.send({ do: "resume" });
    if (late) await sleep(afterwardsMs);
  }

  async #afterDeath(slot: Slot, { point, flags }: Step & { readonly kind: "trap" }): Promise<void> {
    if (slot.process.alive) return slot.process.send({ do: "resume" });
    this.#count(`kill ${point}`);
    if (!(await this.#wouldForce(slot.number, flags))) await this.#cast.again(slot, flags);
  }

  async #force(flags: readonly Flags[], during: readonly Step[]): Promise<void> {
    await this.#go(20);
    this.#count("planned roll-back without PostgreSQL");
    await this.#parts.server.crash();
    await Promise.all(this.#cast.slots.map((slot) => slot.process.kill()));
    await Promise.all(this.#cast.slots.map((slot) => this.#cast.again(slot, flags[slot.number] ?? slot.flags)));
    for (const step of during) await this.#perform(step);
    await this.#parts.server.restart();
  }

  async #drill(name: string, side: Side): Promise<void> {
    for (const { number } of this.#cast.slots) this.#cast.proxy(number).accept();
    const stage = new Stage(this.#cast, this.#parts);
    const hit = await playDrill(stage, name, side);
    this.#count(`drill ${name}${hit ? "" : " (missed)"}`);
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
