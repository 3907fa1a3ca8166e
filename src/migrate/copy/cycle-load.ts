import { keyExpression } from "../../data/key.js";
import { type ForeignKey, quote, quotedOn, type Table } from "../../data/table.js";
import { type PostgresTransaction, statement } from "../../engines/engine.js";
import type { Lines, PlainData } from "./lines.js";
import { type Loaded, mergeText, PostgresLoad } from "./postgres-load.js";

/** A table of a cycle, with the foreign keys that PostgreSQL has there, by PostgreSQL's names. */
export interface CycleTable {
  readonly table: Table;
  readonly foreignKeys: readonly ForeignKey[];
}

/** A row whose parent is nowhere, by its key, and the columns of that foreign key. */
export interface Orphan {
  readonly table: Table;
  readonly key: string;
  readonly columns: readonly string[];
}

/**
 * Brings the rows of tables that point to each other, or to themselves, into PostgreSQL: all of them are staged, the rows whose parents
 * are nowhere are taken out, and the rest goes in by one statement, at whose end foreign keys are checked. It takes no right but that
 * to write. Everything happens in one transaction of somebody else.
 */
export class CycleLoad {
  readonly #transaction: PostgresTransaction;
  readonly #staged: readonly StagedTable[];

  constructor(transaction: PostgresTransaction, tables: readonly CycleTable[]) {
    this.#transaction = transaction;
    this.#staged = tables.map((one, index) => new StagedTable(one, `dualdb_cycle_${index}`));
  }

  /** The stages have the constraints of their tables, but for the foreign keys. */
  async begin(): Promise<void> {
    await this.#transaction.script(this.#staged.map((staged) => staged.createText()).join("; "));
  }

  /** Rows of one of the tables. Lines that it refuses for a reason other than a foreign key are left out. */
  stage(table: Table, data: Lines | PlainData): Promise<Loaded> {
    const staged = this.#staged.find((candidate) => candidate.table === table);
    if (staged === undefined) throw new Error(`table ${table.name} is not of this cycle`);
    return staged.load.run(this.#transaction, data, "insert");
  }

  /** Takes out the rows without a parent, then those without those, until none is left. */
  async orphans(): Promise<Orphan[]> {
    await this.#transaction.script(this.#staged.map(({ name }) => `ANALYZE ${name}`).join("; "));
    const orphans: Orphan[] = [];
    for (let found = -1; found !== orphans.length; ) {
      found = orphans.length;
      for (const staged of this.#staged) {
        orphans.push(...(await this.#withoutParents(staged)));
      }
    }
    return orphans;
  }

  /** How many rows were inserted or changed, in the order of the tables. */
  async finish(): Promise<number[]> {
    const parts = this.#staged.map(({ table, name }, index) => `w${index} AS (${mergeText(table, name)} RETURNING 1)`);
    const counts = this.#staged.map((_, index) => `(SELECT count(*) FROM w${index}) AS n${index}`);
    const text = `WITH ${parts.join(", ")} SELECT ${counts.join(", ")}`;
    const [row] = await this.#transaction.query(statement(text));
    await this.#transaction.script(this.#staged.map(({ name }) => `DROP TABLE ${name}`).join("; "));
    return this.#staged.map((_, index) => Number(row?.[`n${index}`]));
  }

  async #withoutParents(staged: StagedTable): Promise<Orphan[]> {
    const { table } = staged;
    const orphans: Orphan[] = [];
    for (const foreignKey of staged.foreignKeys) {
      const parent = this.#staged.find(({ postgresName }) => postgresName === foreignKey.parent);
      const text = staged.orphansText(foreignKey, parent?.name ?? null);
      const rows = await this.#transaction.query(statement(text));
      const { columns } = foreignKey;
      orphans.push(...rows.map((row) => ({ table, key: String(row.row_key), columns })));
    }
    return orphans;
  }
}

class StagedTable {
  readonly table: Table;
  readonly foreignKeys: readonly ForeignKey[];
  readonly load: PostgresLoad;
  /** The stage's name, as an SQL identifier. */
  readonly name: string;

  constructor({ table, foreignKeys }: CycleTable, name: string) {
    this.table = table;
    this.foreignKeys = foreignKeys;
    this.name = `pg_temp.${name}`;
    this.load = new PostgresLoad({ ...table, postgresName: name }, []);
  }

  get postgresName(): string {
    return this.table.postgresName ?? this.table.name;
  }

  createText(): string {
    const like = `LIKE ${quotedOn("postgres", this.table)} INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING GENERATED`;
    return `CREATE TEMPORARY TABLE ${this.name} (${like}) ON COMMIT DROP`;
  }

  orphansText({ columns, parent, parentColumns }: ForeignKey, stagedParent: string | null): string {
    const given = columns.map((name) => `s.${quote(name)} IS NOT NULL`);
    const same = columns.map((name, index) => `p.${quote(parentColumns[index] ?? name)} = s.${quote(name)}`);
    const missing = [quote(parent), ...(stagedParent === null ? [] : [stagedParent])].map(
      (table) => `NOT EXISTS (SELECT 1 FROM ${table} AS p WHERE ${same.join(" AND ")})`,
    );
    return `DELETE FROM ${this.name} AS s WHERE ${[...given, ...missing].join(" AND ")}
      RETURNING ${keyExpression("postgres", this.table, "s")} AS row_key`;
  }
}
