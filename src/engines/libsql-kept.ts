import { createRequire } from "node:module";
import type { Row, Value } from "./engine.js";
import type { BoundStatement } from "./libsql-values.js";

/**
 * Statements that are asked all the time, kept prepared on a connection of their own: the driver prepares every statement anew, which
 * costs ten times as much as the answer. It reads what is committed, beside the queue, and holds no lock between two questions.
 */
export class KeptStatements {
  readonly #file: string;
  #database: Database | null = null;
  #statements = new Map<string, Prepared>();

  constructor(file: string) {
    this.#file = file;
  }

  /** Whether the next question opens the file, which would make one where there is none. */
  get closed(): boolean {
    return this.#database === null;
  }

  /** The first row; undefined where there is none, or where the ordinary connection had better be asked. */
  first({ sql, args }: BoundStatement): Row | undefined {
    try {
      const { statement, names } = this.#prepared(sql);
      const values = statement.get(args);
      return values && Object.fromEntries(names.map((name, index) => [name, values[index] ?? null]));
    } catch {
      // After a failure the native library may leave a statement unfinished: nothing of this connection is used again.
      this.drop();
      return undefined;
    }
  }

  /** Closes the connection; the next question opens another one. */
  drop(): void {
    this.#statements = new Map();
    const database = this.#database;
    this.#database = null;
    try {
      database?.close();
    } catch {
      // What cannot be closed is collected.
    }
  }

  #prepared(sql: string): Prepared {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    this.#database ??= open(this.#file);
    const statement = this.#database.prepare(sql).raw();
    const prepared = { statement, names: statement.columns().map(({ name }) => name) };
    this.#statements.set(sql, prepared);
    return prepared;
  }
}

interface Prepared {
  readonly statement: NativeStatement;
  readonly names: readonly string[];
}

/** The part of the native library's interface that is used here. */
interface Database {
  prepare(sql: string): NativeStatement;
  close(): void;
}

interface NativeStatement {
  /** Rows as lists. */
  raw(): NativeStatement;
  columns(): readonly { readonly name: string }[];
  get(args: readonly unknown[]): readonly Value[] | undefined;
}

type NativeLibrary = new (path: string, options: { readonly timeout: number }) => Database;

let library: NativeLibrary | undefined;

/** The client's own copy of the native library: two SQLite libraries in one process do not see each other's locks on a file. */
function open(file: string): Database {
  library ??= createRequire(createRequire(import.meta.url).resolve("@libsql/client"))("libsql") as NativeLibrary;
  return new library(file, { timeout: 0 });
}
