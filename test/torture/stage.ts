import path from "node:path";
import type { Flags } from "../../src/route.js";
import type { Cast, CastParts, Slot } from "./cast.js";
import type { FromBot, TrapOrder } from "./orders.js";
import type { DatabasePair } from "./pair.js";
import { Random } from "./random.js";
import type { Request } from "./requests.js";

/** The two bots of a drill, and what can be done to them. From the first time that the drill opens or stops them their lanes keep still. */
export class Stage {
  readonly #cast: Cast;
  readonly #launched: Promise<void>[] = [];
  /** Bots that the drill has stopped. */
  readonly #atRest = new Set<Slot>();
  readonly round: number;
  readonly random: Random;
  readonly pair: DatabasePair;
  /** Directory of the round's logs. */
  readonly logs: string;

  constructor(cast: Cast, { seed, plan, pair, logs }: Pick<CastParts, "seed" | "plan" | "pair" | "logs">) {
    this.#cast = cast;
    this.round = plan.round;
    this.random = new Random(seed, plan.round, "drill");
    this.pair = pair;
    this.logs = logs;
  }

  /** An orderly stop or kill -9, and a start with these flags; resolves when the bot has opened or failed to. */
  async open(number: number, flags: Flags, how = this.random.pick(["kill", "stop", "stop"] as const)): Promise<void> {
    const slot = this.#cast.slot(number);
    if (how === "stop" && slot.process.alive) await slot.process.stop();
    else await slot.process.kill();
    this.#atRest.delete(slot);
    await this.#cast.again(slot, flags, true);
  }

  /** The same, and `opened` tells when. */
  launch(number: number, flags: Flags): { readonly opened: Promise<void> } {
    const opened = this.open(number, flags);
    opened.catch(() => {});
    this.#launched.push(opened);
    return { opened };
  }

  /** An orderly stop; the bot starts again after the drill at the latest. */
  async stop(number: number): Promise<void> {
    const slot = this.#cast.slot(number);
    if (slot.process.alive) await slot.process.stop();
    this.#atRest.add(slot);
  }

  ask(number: number, request: Request): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return this.#cast.slot(number).process.ask(request);
  }

  /** Resolves when the trap has been sprung. */
  trap(number: number, order: TrapOrder): Promise<FromBot> {
    return this.#cast.slot(number).process.trap(order);
  }

  /** Forgets its trap; a relay that is held goes on. */
  resume(number: number): void {
    this.#cast.slot(number).process.send({ do: "resume" });
  }

  /** Stops its process where it stands. */
  freeze(number: number): void {
    this.#cast.freeze(this.#cast.slot(number));
  }

  thaw(number: number): void {
    this.#cast.thaw(this.#cast.slot(number));
  }

  /** Breaks off its connections to PostgreSQL. */
  cut(number: number): void {
    this.#cast.cut(number);
  }

  /** Whether it can reach PostgreSQL. */
  link(number: number, up: boolean): void {
    this.#cast.link(number, up);
  }

  /** File of the present process's log. */
  logOf(number: number): string {
    return path.join(this.logs, `${number}-${this.#cast.slot(number).life}.jsonl`);
  }

  /** Lets everybody go on, as the drill has left them. */
  async clear(): Promise<void> {
    for (const slot of this.#cast.slots) {
      this.#cast.thaw(slot);
      slot.process.send({ do: "resume" });
      this.#cast.link(slot.number, true);
    }
    await Promise.all(this.#launched);
    for (const slot of this.#atRest) await this.#cast.again(slot, slot.flags);
    await this.#cast.reviveDead();
    for (const { process } of this.#cast.slots) process.send({ do: "speak" });
  }
}
