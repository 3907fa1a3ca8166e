import type { Entry, Selection } from "./journal.js";
import type { RowSizes } from "./row-sizes.js";

type Select = (selection: Selection) => Promise<readonly Entry[]>;

/** What a pass is to take: given keys, or the entries behind a place, of which it takes as many as it has time for. */
export type Scope =
  | { readonly keys: readonly Pick<Entry, "table" | "key">[] }
  | {
      readonly after: Entry | null;
      readonly quarantined: boolean;
      /** Only entries of this table. */
      readonly table?: string | undefined;
    };

/** The entries of a pass, read from the journal a part at a time and in its order. */
export class Backlog {
  readonly #scope: Scope;
  readonly #sizes: RowSizes;
  readonly #taken: Entry[] = [];
  #found: readonly Entry[] = [];
  #isRead = false;

  constructor(scope: Scope, sizes: RowSizes) {
    this.#scope = scope;
    this.#sizes = sizes;
  }

  /** Entries of every part so far. */
  get taken(): readonly Entry[] {
    return this.#taken;
  }

  /** Whether the pass may stop between two parts: given keys are taken whole. */
  get isOpen(): boolean {
    return "after" in this.#scope;
  }

  /** Whether there may be more. */
  get goesOn(): boolean {
    return this.#found.length > 0 || !this.#isRead;
  }

  /** At most so many entries whose rows can be read at once; none when everything was taken. */
  async part(most: number, select: Select): Promise<readonly Entry[]> {
    if (this.#found.length === 0 && !this.#isRead) await this.#read(most, select);
    const part = this.#sizes.firstOf(this.#found.slice(0, most));
    this.#found = this.#found.slice(part.length);
    this.#taken.push(...part);
    return part;
  }

  async #read(most: number, select: Select): Promise<void> {
    const scope = this.#scope;
    const isOpen = "after" in scope;
    const selection = isOpen ? { ...scope, after: this.#taken.at(-1) ?? scope.after, limit: most } : scope;
    this.#found = await select(selection);
    this.#isRead = !isOpen || this.#found.length < most;
  }
}
