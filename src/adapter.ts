import type { Column } from "./data/table.js";
import type { Row, Side, Statement, WriteResult } from "./engines/engine.js";

/** A statement, or what makes one for the side that it will run on: only full-text search needs to know. */
export type PerSide = Statement | ((side: Side) => Statement);

export interface Query {
  readonly statement: PerSide;
  /** The tables that the statement reads; the fence looks whether a change of theirs is still owed. Absent: any table. */
  readonly tables?: readonly string[];
  /** The one row that the statement reads, by its key: narrows the fence. Only with a single table. */
  readonly key?: string;
  /** The columns that the statement selects, in this order, with their kinds. */
  readonly columns?: readonly Column[];
}

/** The one point that every service call passes. */
export interface Adapter {
  /** Rows from the side that answers reads. */
  read(query: Query): Promise<Row[]>;
  /** One transaction on the primary; a single statement runs by itself. */
  write(statements: readonly PerSide[]): Promise<WriteResult[]>;
}
