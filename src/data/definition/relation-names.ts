import { cutToBytes, mostBytes } from "./postgres-names.js";

/** Names in PostgreSQL's schema, where tables, indexes and sequences share theirs. */
export class RelationNames {
  readonly #taken: Set<string>;

  constructor(taken: Iterable<string>) {
    this.#taken = new Set(taken);
  }

  /** Takes the name; where it is taken already, the same with a number behind it. */
  take(name: string): string {
    let free = name;
    for (let number = 1; this.#taken.has(free); number++) free = `${cutToBytes(name, mostBytes - 4)}_${number}`;
    this.#taken.add(free);
    return free;
  }
}

/** The name that PostgreSQL makes for what comes with a table: of its key `users_pkey`, of another `users_email_key`, of a counter `users_id_seq`. */
export function automaticName(table: string, columns: readonly string[], label: "pkey" | "key" | "seq"): string {
  const second = columns.length === 0 ? null : cutToBytes(columns.join("_"), mostBytes);
  const room = mostBytes - label.length - 1 - (second === null ? 0 : 1);
  let [first, rest] = [Buffer.byteLength(table), Buffer.byteLength(second ?? "")];
  while (first + rest > room) {
    if (first > rest) first--;
    else rest--;
  }
  return [cutToBytes(table, first), ...(second === null ? [] : [cutToBytes(second, rest)]), label].join("_");
}
