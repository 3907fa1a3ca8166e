/** Keys of rows, by table. */
export class KeySet {
  readonly #tables = new Map<string, Set<string>>();

  /** Tells whether it was not there yet. */
  add(table: string, key: string): boolean {
    const keys = this.#tables.get(table) ?? new Set();
    this.#tables.set(table, keys);
    const before = keys.size;
    return keys.add(key).size > before;
  }

  /** Tells whether any of them was not there yet. */
  addAll(other: KeySet): boolean {
    let grown = false;
    for (const { table, key } of other) grown = this.add(table, key) || grown;
    return grown;
  }

  has(table: string, key: string): boolean {
    return this.#tables.get(table)?.has(key) ?? false;
  }

  of(table: string): string[] {
    return [...(this.#tables.get(table) ?? [])];
  }

  get size(): number {
    return [...this.#tables.values()].reduce((sum, keys) => sum + keys.size, 0);
  }

  *[Symbol.iterator](): Iterator<{ readonly table: string; readonly key: string }> {
    for (const [table, keys] of this.#tables) for (const key of keys) yield { table, key };
  }
}
