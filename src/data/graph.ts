import type { ForeignKey, Table } from "./table.js";

/** A foreign key together with the table that has it. */
export interface Reference {
  readonly child: Table;
  readonly foreignKey: ForeignKey;
}

/** The mirrored tables and how they hang together. */
export class TableGraph {
  readonly tables: readonly Table[];
  /** Each parent before its children; within a cycle the order is that of the names. */
  readonly parentsFirst: readonly Table[];
  readonly #byName: ReadonlyMap<string, Table>;
  readonly #references: ReadonlyMap<string, readonly Reference[]>;

  constructor(tables: readonly Table[]) {
    this.tables = tables;
    this.#byName = new Map(tables.map((table) => [table.name, table]));
    this.#references = this.#collectReferences();
    this.parentsFirst = this.#sort();
  }

  get(name: string): Table | undefined {
    return this.#byName.get(name);
  }

  /** The foreign keys of a table whose parents are mirrored too. */
  parentsOf(table: Table): readonly { readonly parent: Table; readonly foreignKey: ForeignKey }[] {
    return table.foreignKeys.flatMap((foreignKey) => {
      const parent = this.#byName.get(foreignKey.parent);
      return parent === undefined ? [] : [{ parent, foreignKey }];
    });
  }

  /** The foreign keys that point to a table. */
  referencesTo(table: Table): readonly Reference[] {
    return this.#references.get(table.name) ?? [];
  }

  #collectReferences(): Map<string, Reference[]> {
    const references = new Map<string, Reference[]>();
    for (const child of this.tables) {
      for (const { parent, foreignKey } of this.parentsOf(child)) {
        references.set(parent.name, [...(references.get(parent.name) ?? []), { child, foreignKey }]);
      }
    }
    return references;
  }

  #sort(): Table[] {
    const sorted = new Set<Table>();
    const visiting = new Set<Table>();
    const visit = (table: Table): void => {
      if (sorted.has(table) || visiting.has(table)) return;
      visiting.add(table);
      for (const { parent } of this.parentsOf(table)) visit(parent);
      visiting.delete(table);
      sorted.add(table);
    };
    for (const table of this.tables) visit(table);
    return [...sorted];
  }
}
