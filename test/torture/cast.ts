import path from "node:path";
import type { Flags } from "../../src/route.js";
import { routeOf } from "../../src/route.js";
import type { FaultProxy } from "../support/proxy.js";
import type { AddedColumn } from "./added-columns.js";
import { limits } from "./failures.js";
import type { BotProcess, Fleet } from "./fleet.js";
import type { Answered, FromBot } from "./orders.js";
import { type DatabasePair, stateOfFile } from "./pair.js";
import type { Plan } from "./plan.js";
import type { Troubles } from "./troubles.js";

export interface CastParts {
  readonly seed: number;
  readonly plan: Plan;
  readonly pair: DatabasePair;
  /** One for each slot. */
  readonly proxies: readonly FaultProxy[];
  readonly fleet: Fleet;
  readonly troubles: Troubles;
  readonly logs: string;
  /** File of the rows that were there before. */
  readonly known: string;
  /** Whether the databases have been brought together. */
  readonly paired: boolean;
}

/** A place that one bot after the other takes in a round. */
export interface Slot {
  readonly number: number;
  process: BotProcess;
  flags: Flags;
  life: number;
  readonly logs: string[];
  /** What was answered in earlier lives. */
  before: Answered;
}

/** The bots of one round: each in its slot, with flags, a link to PostgreSQL and a log of its own. */
export class Cast {
  readonly #parts: CastParts;
  readonly slots: Slot[] = [];

  constructor(parts: CastParts) {
    this.#parts = parts;
  }

  slot(number: number): Slot {
    const slot = this.slots[number];
    if (slot === undefined) throw new Error(`no bot ${number}`);
    return slot;
  }

  /** Breaks off a bot's connections to PostgreSQL. → how many there were */
  cut(slot: number): number {
    const proxy = this.#proxy(slot);
    const { connections } = proxy;
    this.#parts.troubles.begin("cut", slot);
    proxy.cut();
    this.#parts.troubles.end("cut", slot);
    return connections;
  }

  /** Breaks off one of them later; resolves when that has happened. */
  async cutAfter(slot: number, limit: number | "before-reply"): Promise<void> {
    await this.#proxy(slot).cutAfter(limit);
    this.#parts.troubles.begin("cut", slot);
    this.#parts.troubles.end("cut", slot);
  }

  /** Whether a bot can reach PostgreSQL. → how many connections were broken off */
  link(slot: number, up: boolean): number {
    const proxy = this.#proxy(slot);
    proxy.accept();
    this.#parts.troubles.end("unlinked", slot);
    if (up) return 0;
    this.#parts.troubles.begin("unlinked", slot);
    proxy.refuse();
    return this.cut(slot);
  }

  /** Stops a bot's process where it stands. */
  freeze({ number, process }: Slot): void {
    this.#parts.troubles.begin("stopped", number);
    process.signal("SIGSTOP");
  }

  thaw({ number, process }: Slot): void {
    process.signal("SIGCONT");
    this.#parts.troubles.end("stopped", number);
  }

  /** Tells the bots of a column that both sides have now. */
  know(column: AddedColumn): void {
    for (const { process } of this.slots) process.send({ do: "know", column });
  }

  #proxy(slot: number): FaultProxy {
    const proxy = this.#parts.proxies[slot];
    if (proxy === undefined) throw new Error(`no proxy for bot ${slot}`);
    return proxy;
  }

  /** What all bots of the round have had answered. */
  get answered(): Answered {
    return this.slots.map(({ before, process }) => sum(before, process.answered)).reduce(sum, noneAnswered);
  }

  async open(number: number, flags: Flags): Promise<void> {
    const process = this.#parts.fleet.take();
    const slot: Slot = { number, process, flags, life: 0, logs: [], before: noneAnswered };
    this.slots[number] = slot;
    await this.#start(slot, flags, false);
  }

  /** Another bot in a slot whose bot is dead or has been stopped. */
  async again(slot: Slot, flags: Flags, quiet = false): Promise<void> {
    slot.before = sum(slot.before, slot.process.answered);
    slot.life += 1;
    if (!slot.process.alive) slot.process = this.#parts.fleet.take();
    await this.#start(slot, flags, quiet);
  }

  /** A trap that strikes late leaves a bot dead. */
  async reviveDead(): Promise<void> {
    for (const slot of this.slots) if (!slot.process.alive) await this.again(slot, slot.flags);
  }

  /** All bots end as the plan says; connections that they leave behind are broken off. */
  async end(): Promise<void> {
    const { plan, fleet, proxies } = this.#parts;
    for (const proxy of proxies) {
      proxy.accept();
      proxy.disarm();
    }
    await Promise.all(
      this.slots.map(({ number, process }) =>
        plan.endings[number] === "stop" && process.alive ? process.stop() : process.kill(),
      ),
    );
    for (const { process } of this.slots) fleet.giveBack(process);
    for (const proxy of proxies) proxy.cut();
  }

  /** One more bot brings both sides together. */
  async settle(): Promise<FromBot & { readonly is: "settled" | "unsettled" }> {
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

  async #start(slot: Slot, flags: Flags, quiet: boolean): Promise<void> {
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
      wantsPostgres: flags.primary,
      columns: pair.columns,
      quiet,
    });
    slot.logs.push(log);
  }

  #environment(slot: number, { primary, read, shadow }: Flags): NodeJS.ProcessEnv {
    return {
      ...limited,
      DATABASE_URL: this.#urlFor(slot),
      SQLITE_DB_PATH: this.#parts.pair.sqliteFile,
      USE_POSTGRES_PRIMARY: String(primary),
      USE_POSTGRES_READ: String(read),
      USE_POSTGRES_SHADOW: String(shadow),
    };
  }

  #urlFor(slot: number): string {
    const url = new URL(this.#parts.pair.postgresUrl);
    url.port = String(this.#proxy(slot).port);
    return url.href;
  }
}

const limited = {
  POSTGRES_QUERY_TIMEOUT_MS: String(limits.query),
  POSTGRES_POOL_SIZE: "8",
  FLIP_TIMEOUT_MS: String(limits.flip),
};

const noneAnswered: Answered = { writes: 0, services: 0 };

function sum(one: Answered, other: Answered): Answered {
  return { writes: one.writes + other.writes, services: one.services + other.services };
}
