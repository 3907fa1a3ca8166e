import type { DualDatabase } from "../../src/database.js";
import type { Caller, Learnt } from "./caller.js";
import type { DirectAccess } from "./console.js";
import type { Effect, RowName, TableName } from "./log.js";
import { existence, type Model, type ModelRow } from "./model.js";
import { isMine, type Owner, userOf } from "./names.js";
import type { Peers } from "./peers.js";
import type { Random } from "./random.js";
import { both, type WriteStatement } from "./statements.js";

export interface ActorParts {
  readonly database: DualDatabase;
  readonly caller: Caller;
  readonly model: Model;
  readonly random: Random;
  readonly owner: Owner;
  readonly peers: Peers;
  readonly direct: DirectAccess;
  /** Begins every name that this lane gives to a row. */
  readonly prefix: string;
}

/** What a read has found, and when it was asked for. */
export interface Seen<T> {
  readonly value: T;
  readonly began: number;
}

type WriteResults = Awaited<ReturnType<DualDatabase["write"]>>;

/** Whoever makes a lane's calls, one after the other, on rows of its own and on rows that all share. */
export class Actor {
  readonly parts: ActorParts;
  /** Whose messages, queries and documents it saves in this round. */
  readonly user: string;
  #names = 0;

  constructor(parts: ActorParts) {
    this.parts = parts;
    this.user = userOf(parts.owner);
  }

  /** A name that no row has had. */
  name(): string {
    return `${this.parts.prefix}.${this.#names++}`;
  }

  /** A function of a service that changes something. Tells whether it was answered. */
  service<T>(
    name: string,
    effects: readonly Effect[],
    work: () => Promise<T>,
    learn?: (result: T, began: number) => Learnt,
  ): Promise<boolean> {
    return this.parts.caller.call({ name, via: "service", effects, work, ...(learn && { learn }) });
  }

  /** Statements in one transaction. */
  write(
    name: string,
    effects: readonly Effect[],
    statements: readonly WriteStatement[],
    learn?: (results: WriteResults, began: number) => Learnt,
  ): Promise<boolean> {
    const work = () => this.parts.database.write(...statements);
    return this.parts.caller.call({ name, via: "statements", effects, work, ...(learn && { learn }) });
  }

  /** One statement, which has done nothing where it has changed no row. */
  writeOne(name: string, effects: readonly Effect[], text: string, ...values: readonly string[]): Promise<boolean> {
    return this.write(name, effects, [both(text, ...values)], ([result]) => ({ nothing: result?.changes === 0 }));
  }

  /** A function of a service that changes nothing; null where it was not answered. */
  read<T>(name: string, work: () => Promise<T>): Promise<Seen<T> | null> {
    return this.#see(name, "service", work);
  }

  select(
    text: string,
    ...values: readonly string[]
  ): Promise<Seen<readonly Readonly<Record<string, unknown>>[]> | null> {
    return this.#see("read", "statements", () => this.parts.database.read(both(text, ...values)));
  }

  /** A row of which this lane knows that it exists, and which nobody else changes. */
  mine(table: TableName): ModelRow | undefined {
    const rows = this.allMine(table);
    return rows.length === 0 ? undefined : this.parts.random.pick(rows);
  }

  allMine(table: TableName): ModelRow[] {
    const { model, owner } = this.parts;
    return [...model.rows(table)].filter((row) => isMine(owner, row.row) && existence(row) === true);
  }

  /** Tells of an answer that there is no such row, where there must be one: that is a stale read too. */
  expectFound(
    what: string,
    row: RowName,
    existed: boolean | null = true,
  ): (found: boolean, began: number) => { readonly nothing: boolean } {
    return (found, began) => {
      if (!found && existed === true) this.stale(`${what} found no row`, began, row);
      return { nothing: !found };
    };
  }

  /** One of these rows at least is not as it was acknowledged. */
  stale(what: string, began: number, ...rows: readonly RowName[]): void {
    this.parts.caller.stale(what, began, rows);
  }

  async #see<T>(name: string, via: "service" | "statements", work: () => Promise<T>): Promise<Seen<T> | null> {
    const seen: Seen<T>[] = [];
    const learn = (value: T, began: number) => {
      seen.push({ value, began });
      return {};
    };
    await this.parts.caller.call({ name, via, effects: [], work, learn });
    return seen[0] ?? null;
  }
}
