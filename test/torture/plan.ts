import type { Side } from "../../src/engines/engine.js";
import type { Flags } from "../../src/route.js";
import type { FaultPoint } from "../../src/shadow/mirror.js";
import { type AddedColumn, growing } from "./added-columns.js";
import { drills } from "./drills.js";
import { hash, Random } from "./random.js";

/** What happens to the bots of a round, one after the other. `during` happens while the fault lasts. */
export type Step =
  /** Lets the bots go on until so many more writes are answered, or for a while. */
  | { readonly kind: "go"; readonly writes: number }
  /** kill -9, and another process with these flags. */
  | { readonly kind: "kill"; readonly slot: number; readonly flags: Flags }
  /** An orderly stop, and a start with these flags, while the other bots go on with theirs. */
  | { readonly kind: "restart"; readonly slot: number; readonly flags: Flags }
  | { readonly kind: "crash"; readonly during: readonly Step[] }
  | { readonly kind: "freeze"; readonly during: readonly Step[] }
  | { readonly kind: "cut"; readonly slot: number }
  | { readonly kind: "cut-after"; readonly slot: number; readonly bytes: number | "before-reply" }
  | { readonly kind: "refuse"; readonly slot: number; readonly during: readonly Step[] }
  /**
   * The relay of a bot is stopped at a point of its pass: `kill`, by kill -9; `hold`, it stands there; `stop`, and the whole process with
   * it (SIGSTOP). `cut`: it loses its connection, and with it the lock, meanwhile. `backlog`: the relays are held up first, so that the
   * pass has many rows, and whichever bot takes them is the one. `late`: the round ends soon after, so that nothing heals what went wrong.
   */
  | {
      readonly kind: "trap";
      readonly slot: number;
      readonly point: FaultPoint;
      readonly skip: number;
      readonly action: "kill" | "hold" | "stop";
      readonly cut: boolean;
      readonly backlog: boolean;
      readonly late: boolean;
      readonly flags: Flags;
      readonly during: readonly Step[];
    }
  /** PostgreSQL goes, all bots go with it and come back with these flags: a roll-back that has to be forced. */
  | { readonly kind: "forced"; readonly flags: readonly Flags[]; readonly during: readonly Step[] }
  /** A table gets a further column on both sides, on one after the other. */
  | { readonly kind: "column"; readonly table: AddedColumn["table"]; readonly first: Side }
  /** A situation that chance meets too seldom, for two bots that make no calls of their own meanwhile. */
  | { readonly kind: "drill"; readonly name: string; readonly side: Side };

export interface Plan {
  readonly round: number;
  /** Whether the databases are new ones, with rows in them that are older than the package. */
  readonly fresh: boolean;
  readonly flags: readonly Flags[];
  readonly steps: readonly Step[];
  /** How each bot ends. */
  readonly endings: readonly ("stop" | "kill")[];
}

const roundsOfAPair = 15;
/** In each deal of the deck. */
const roundsWithoutDrill = 3;

/** The plan of a round: a matter of the seed alone. `only`: the drill that every round has. */
export function planOf(seed: number, round: number, only: string | null): Plan {
  const random = new Random(seed, round, "plan");
  const drill = only === null ? drillOf(seed, round) : drillStep(only, round);
  const slots = drill === null && random.chance(0.5) ? 3 : 2;
  const { card: leansToPostgres } = dealt(leanings, seed, round, "leanings");
  return new Planner(random, slots, leansToPostgres).plan(round, round % roundsOfAPair === 1, drill);
}

/** Each drill comes once before one comes again, and then from its other side. */
function drillOf(seed: number, round: number): (Step & { readonly kind: "drill" }) | null {
  const cards = [...Object.keys(drills), ...Array.from({ length: roundsWithoutDrill }, () => null)];
  const { card: name, deal } = dealt(cards, seed, round, "deck");
  if (name === null) return null;
  return drillStep(name, hash(`${seed}/${name}`) + deal);
}

/** So many rounds in twenty lean to PostgreSQL: what forced roll-backs end with comes on SQLite's side. */
const leanings = Array.from({ length: 20 }, (_, card) => card < 11);

/** The card of a round, as from a deck: all of them are dealt before one comes again. */
function dealt<T>(
  cards: readonly T[],
  seed: number,
  round: number,
  name: string,
): { readonly card: T; readonly deal: number } {
  const deal = Math.floor((round - 1) / cards.length);
  const random = new Random(seed, deal, name);
  const left = [...cards];
  const deck: T[] = [];
  while (left.length > 0) deck.push(...left.splice(random.whole(0, left.length - 1), 1));
  const [card] = deck.slice((round - 1) % cards.length);
  if (card === undefined) throw new Error("a deck has no cards");
  return { card, deal };
}

function drillStep(name: string, number: number): Step & { readonly kind: "drill" } {
  return { kind: "drill", name, side: number % 2 === 0 ? "sqlite" : "postgres" };
}

/** Rows that have been read and not applied, and entries that are not removed yet, are what others can overtake. */
const points = ["after-read", "after-read", "after-apply", "before-acknowledge", "before-acknowledge"] as const;

class Planner {
  readonly #random: Random;
  readonly #slots: number;
  /** The side that most bots of the round want to be primary. */
  readonly #leansToPostgres: boolean;

  constructor(random: Random, slots: number, leansToPostgres: boolean) {
    this.#random = random;
    this.#slots = slots;
    this.#leansToPostgres = leansToPostgres;
  }

  plan(round: number, fresh: boolean, drill: Step | null): Plan {
    const random = this.#random;
    const grows = random.chance(0.2);
    const isForced = random.chance(drill === null ? 0.3 : 0.02);
    const count = random.whole(1, drill === null ? 3 : 2);
    const steps = Array.from({ length: count }, () => [this.#go(), this.#fault()]).flat();
    if (isForced) steps.push({ ...this.#go(), writes: 40 } as Step, this.#forced());
    if (drill !== null) steps.push(drill);
    if (drill !== null && random.chance(0.6)) steps.push({ kind: "kill", slot: this.#slot(), flags: this.#flags(1) });
    if (grows) steps.splice(random.whole(0, steps.length), 0, this.#column());
    const hasTrap = steps.some(({ kind }) => kind === "trap");
    const flags = Array.from({ length: this.#slots }, () => {
      const wished = this.#flags(isForced ? 1 : 0.8);
      return { ...wished, shadow: hasTrap || wished.shadow };
    });
    if (isForced) flags.splice(0, 1, { primary: true, read: false, shadow: random.chance(0.5) });
    // The databases are brought together while a bot writes that knows nothing of PostgreSQL.
    if (fresh) flags.splice(0, 1, { primary: false, read: false, shadow: false });
    const endings = flags.map(() => (random.chance(0.5) ? "stop" : "kill"));
    return { round, fresh, flags, steps, endings };
  }

  #go(): Step {
    return { kind: "go", writes: this.#random.whole(5, 30) };
  }

  #slot(): number {
    return this.#random.whole(0, this.#slots - 1);
  }

  #flags(leaning: number): Flags {
    const random = this.#random;
    const primary = random.chance(leaning) ? this.#leansToPostgres : !this.#leansToPostgres;
    return { primary, read: random.chance(0.4), shadow: random.chance(0.65) };
  }

  #fault(): Step {
    const random = this.#random;
    const slot = this.#slot();
    const flags = this.#flags(0.7);
    const choices: readonly { readonly weight: number; readonly make: () => Step }[] = [
      { weight: 4, make: () => ({ kind: "kill", slot, flags }) },
      { weight: 2, make: () => ({ kind: "restart", slot, flags }) },
      { weight: 2, make: () => ({ kind: "crash", during: this.#meanwhile() }) },
      { weight: 1, make: () => ({ kind: "freeze", during: [this.#go()] }) },
      { weight: 2, make: () => ({ kind: "cut", slot }) },
      { weight: 2, make: () => ({ kind: "cut-after", slot, bytes: this.#bytes() }) },
      { weight: 1, make: () => ({ kind: "refuse", slot, during: this.#meanwhile() }) },
      { weight: 4, make: () => this.#deadlyTrap(slot, flags) },
      { weight: 20, make: () => this.#trap(slot, flags) },
    ];
    return random.weighted(choices).make();
  }

  #bytes(): number | "before-reply" {
    return this.#random.chance(0.4) ? "before-reply" : this.#random.whole(1, 20_000);
  }

  #meanwhile(): Step[] {
    if (this.#random.chance(0.6)) return [this.#go()];
    return [this.#go(), { kind: "kill", slot: this.#slot(), flags: this.#flags(0.8) }, this.#go()];
  }

  #deadlyTrap(slot: number, flags: Flags): Step {
    const { point, skip } = this.#place();
    return {
      kind: "trap",
      slot,
      point,
      skip,
      action: "kill",
      cut: false,
      backlog: false,
      late: false,
      flags,
      during: [],
    };
  }

  #place(): { readonly point: FaultPoint; readonly skip: number } {
    return { point: this.#random.pick(points), skip: this.#random.whole(0, 6) };
  }

  /** Others write, mirror and even move the primary while a relay believes that it is still at work. */
  #trap(slot: number, flags: Flags): Step {
    const random = this.#random;
    const { point, skip } = this.#place();
    const cut = point === "before-acknowledge" ? random.chance(0.3) : random.chance(0.85);
    const other = (slot + 1) % this.#slots;
    const overtake: Step[] = [];
    if (cut || point === "before-acknowledge") {
      const kind = random.pick(["restart", "kill", "kill", "kill"] as const);
      const wanted = { ...this.#flags(0.5), shadow: random.chance(0.8) };
      overtake.push({ kind, slot: other, flags: wanted }, this.#go());
      if (random.chance(0.4))
        overtake.push({ kind, slot: other, flags: { ...wanted, primary: !wanted.primary } }, this.#go());
    }
    const progress: Step = { kind: "go", writes: random.whole(20, 60) };
    const during = random.chance(0.7) ? [progress, ...overtake] : [progress];
    const action = random.pick(["hold", "stop"] as const);
    const backlog = random.chance(0.7);
    return { kind: "trap", slot, point, skip, action, cut, backlog, late: random.chance(0.6), flags, during };
  }

  #column(): Step {
    return { kind: "column", table: this.#random.pick(growing), first: this.#random.pick(["sqlite", "postgres"]) };
  }

  #forced(): Step {
    const flags = Array.from({ length: this.#slots }, () => ({ ...this.#flags(0.5), primary: false }));
    return { kind: "forced", flags, during: [{ kind: "go", writes: this.#random.whole(20, 60) }] };
  }
}
