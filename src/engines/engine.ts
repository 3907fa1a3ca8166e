import type { Column } from "../data/table.js";

export type Side = "sqlite" | "postgres";

/** A statement for both sides: `sql` has `?` for SQLite, `text` has `$1` for PostgreSQL. `sql` of sql-template-tag makes one. */
export interface Statement {
  readonly sql: string;
  readonly text: string;
  readonly values: readonly unknown[];
  /**
   * For a SELECT: `text` with `primaryCondition` among the conditions of its WHERE clause, for reads as primary. Without it the engine
   * puts the condition around the SELECT, which costs the server more.
   */
  readonly textAsPrimary?: string;
}

/** A statement whose text is the same on both sides, or that only one of them is asked. */
export function statement(text: string, values: readonly unknown[] = []): Statement {
  return { sql: text, text, values };
}

/** What a caller of the package gets: SQLite's shape on both sides, integers as numbers, JSON as text, booleans as 0 and 1. */
export type Value = string | number | null | Uint8Array;
export type Row = Record<string, Value>;
/** A row whose columns a caller knows: an interface will do as well as a type. */
export type Selected<Columns> = { readonly [Name in keyof Columns]: Value };

/** What the mirror gets: nothing rounded or cut. Integers are bigint, JSON is text, text may be given as bytes. */
export type ExactValue = Value | bigint | boolean;
export type ExactRow = Record<string, ExactValue>;

export interface WriteResult {
  /** Rows of a RETURNING clause. */
  readonly rows: Row[];
  /** How many rows the statement changed; with RETURNING, how many it returned. */
  readonly changes: number;
}

export interface ReadOptions {
  /** The columns that the statement selects, in this order, with their kinds: lets the engine fetch many rows in one piece. */
  readonly columns?: readonly Column[];
  /** Refuse with NOT_PRIMARY unless this side's own state says that it is primary, as of the read or before it. */
  readonly asPrimary?: boolean;
  /** Give up with DATABASE_UNAVAILABLE after this many milliseconds. */
  readonly timeoutMs?: number;
  /** The statement may select any text, also some that the driver cannot hold: it comes whole, what is not UTF-8 with U+FFFD. */
  readonly anyText?: boolean;
  /** One of a few statements that are asked all the time, for one row of text: the engine may keep it prepared, and answer at once. */
  readonly kept?: boolean;
}

export interface WriteOptions {
  /** Refuse with NOT_PRIMARY, nothing changed, unless this side's own state says that it is primary; also when no row was touched. */
  readonly asPrimary?: boolean;
  /** How long a statement may take on PostgreSQL, in milliseconds, where the engine's own limit is too short. */
  readonly timeoutMs?: number;
  /** Takes its time on PostgreSQL, also where somebody has asked for an end: for a statement that says so. */
  readonly toTheEnd?: boolean;
}

/** Statements inside one transaction. */
export interface Transaction {
  /** Rows with exact values. */
  query(statement: Statement): Promise<ExactRow[]>;
  /** How many rows it changed. */
  execute(statement: Statement): Promise<number>;
  /** Several statements without parameters, as they stand in a file. */
  script(text: string): Promise<void>;
}

/** Pieces of COPY data; where a piece ends is of no meaning. */
export type CopyChunks = AsyncIterable<Uint8Array>;

/** A transaction of PostgreSQL, which can move any number of rows in one statement. */
export interface PostgresTransaction extends Transaction {
  /**
   * A `COPY … FROM STDIN` with its data; resolves to the number of rows. Where a row is refused, the error's details have the `line`
   * it came in, from 1, if PostgreSQL says so. Where the source fails, its own error comes out; the transaction has failed either way.
   * The transaction's time limit is for each piece of the data.
   */
  copyIn(text: string, source: CopyChunks): Promise<number>;
  /**
   * The data of a `COPY … TO STDOUT`: bytea in hexadecimal, floats with all their digits. To be read to its end: who leaves before
   * has lost the connection. The transaction's time limit is for each piece of the data.
   */
  copyOut(text: string): AsyncGenerator<Uint8Array, void>;
}

/** A transaction and the side that it is on, which tells what it can do. */
export type SideTransaction =
  | { readonly side: "sqlite"; readonly transaction: Transaction }
  | { readonly side: "postgres"; readonly transaction: PostgresTransaction };

export interface TransactionOptions {
  /** `read` sees one snapshot and takes no write lock. */
  readonly mode: "read" | "write";
  /** How long a statement, and a wait for a lock, may take on PostgreSQL, in milliseconds. */
  readonly timeoutMs?: number;
  /** A statement without values that comes first, on PostgreSQL in the round trip in which the transaction begins. */
  readonly first?: Statement;
}

export interface EngineStatistics {
  readonly connections: number;
  readonly idle: number;
  readonly waiting: number;
}

/**
 * One database behind a driver. Every error it throws is a DualDbError; work is done in the order in which it was asked for where
 * the driver has one connection.
 */
export interface Engine {
  readonly side: Side;
  /** One SELECT. */
  read(statement: Statement, options?: ReadOptions): Promise<Row[]>;
  /** Statements in one transaction; a single statement runs by itself. */
  write(statements: readonly Statement[], options?: WriteOptions): Promise<WriteResult[]>;
  /**
   * Commits when `work` resolves, rolls back when it rejects. A transaction of mode `write` on SQLite is BEGIN IMMEDIATE. Where the
   * database is locked, `work` may run again from its beginning, so it must change nothing outside. Inside `work` only its own
   * transaction is used: another call of this engine would wait for `work` to end. It is given the rows of the `first` statement.
   */
  transaction<T>(
    options: TransactionOptions,
    work: (transaction: Transaction, rows: readonly ExactRow[]) => Promise<T>,
  ): Promise<T>;
  statistics(): EngineStatistics;
  /** Can be called twice. */
  close(): Promise<void>;
}

export interface SqliteEngine extends Engine {
  readonly side: "sqlite";
}

export interface PostgresEngine extends Engine {
  readonly side: "postgres";
  /** The schema in which unqualified names are created, for example `public`. Asked for once. */
  schema(): Promise<string>;
  transaction<T>(
    options: TransactionOptions,
    work: (transaction: PostgresTransaction, rows: readonly ExactRow[]) => Promise<T>,
  ): Promise<T>;
}
