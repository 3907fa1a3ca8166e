/**
 * What can make a call fail. `down`: PostgreSQL is not there. `frozen`: it says nothing. `unlinked`: a bot cannot reach it. `cut`: a bot's
 * connections were broken off. `stopped`: a bot stands still, with whatever it has locked. `one-sided`: one side has a column that the
 * other lacks.
 */
export type TroubleKind = "down" | "frozen" | "unlinked" | "cut" | "stopped" | "one-sided";

export interface Trouble {
  readonly kind: TroubleKind;
  /** The bot that it befalls; null: all of them. */
  readonly slot: number | null;
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
}

/** The troubles of a round, with their times. */
export class Troubles {
  readonly #over: Trouble[] = [];
  readonly #present = new Map<string, Trouble>();

  get all(): readonly Trouble[] {
    return [...this.#over, ...this.#present.values()];
  }

  begin(kind: TroubleKind, slot: number | null): void {
    const name = `${kind}/${slot}`;
    if (!this.#present.has(name))
      this.#present.set(name, { kind, slot, from: Date.now(), to: Number.POSITIVE_INFINITY });
  }

  end(kind: TroubleKind, slot: number | null): void {
    const name = `${kind}/${slot}`;
    const trouble = this.#present.get(name);
    if (trouble === undefined) return;
    this.#present.delete(name);
    this.#over.push({ ...trouble, to: Date.now() });
  }
}
