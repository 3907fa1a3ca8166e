import type { ClientBase, Connection, Submittable } from "pg";
import type { Column } from "../data/table.js";
import { DualDbError } from "../errors.js";
import type { Row } from "./engine.js";
import type { Parse, RecordTypes } from "./postgres-types.js";

/** A SELECT whose columns are known. */
export interface KnownSelect {
  readonly text: string;
  readonly values: readonly Parameter[];
  readonly shape: Shape;
  /** Client side, in milliseconds. */
  readonly query_timeout: number;
}

/** A value as it goes over the wire. */
export type Parameter = string | Buffer | null;

/** The names of a row's fields in the order of the SELECT, and what reads each. */
export interface Shape {
  readonly names: readonly string[];
  readonly parsers: readonly Parse[];
}

/**
 * Its rows. The server is not asked to describe them: where rows are few, making the description and reading it costs more than the
 * rows do.
 */
export function selectRows(client: ClientBase, select: KnownSelect): Promise<{ rows: Row[]; rowCount: number }> {
  return new Promise((resolve, reject) => {
    const done: Done = (error, rows = []) =>
      error === null ? resolve({ rows, rowCount: rows.length }) : reject(error);
    client.query(new Submitted(select, done));
  });
}

/** The shape for these columns; null where one is of a kind whose text can only be read with PostgreSQL's type. */
export function shapeOf(columns: readonly Column[], types: RecordTypes): Shape | null {
  const parsers = columns.map(({ kind }) => types.parserOf(kind)).filter((parse) => parse !== undefined);
  return parsers.length === columns.length ? { names: columns.map(({ name }) => name), parsers } : null;
}

/** The values of a statement; null where one is an array, whose text the driver makes. */
export function parametersOf(values: readonly unknown[]): Parameter[] | null {
  const parameters = values.map(parameterOf).filter((parameter) => parameter !== undefined);
  return parameters.length === values.length ? parameters : null;
}

function parameterOf(value: unknown): Parameter | undefined {
  if (value === null || typeof value === "string" || Buffer.isBuffer(value)) return value;
  return Array.isArray(value) ? undefined : String(value);
}

type Done = (error: Error | null, rows?: Row[]) => void;

/** A query as the driver's client runs it, which calls these functions by their names. */
class Submitted implements Submittable {
  readonly query_timeout: number;
  /** The driver puts its own around this one, for the time-out. */
  callback: Done;
  readonly #select: KnownSelect;
  readonly #rows: Row[] = [];
  #failure: Error | null = null;

  constructor(select: KnownSelect, done: Done) {
    this.query_timeout = select.query_timeout;
    this.callback = done;
    this.#select = select;
  }

  /** Everything in one packet, and in the unnamed statement and portal. */
  submit(connection: Connection): void {
    const { text, values } = this.#select;
    connection.stream.cork();
    connection.parse({ name: "", text, types: [] }, true);
    connection.bind({ values: [...values] }, true);
    connection.execute(null, true);
    connection.sync();
    connection.stream.uncork();
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    try {
      this.#rows.push(rowOf(this.#select.shape, fields));
    } catch (error) {
      // From here it would come out of the socket, where nobody catches it.
      this.#failure ??= error instanceof Error ? error : new Error("a row cannot be read", { cause: error });
    }
  }

  handleReadyForQuery(): void {
    this.callback(this.#failure, this.#rows);
  }

  handleError(error: Error): void {
    this.callback(error);
  }

  handleCommandComplete(): void {}

  handleEmptyQuery(): void {}
}

function rowOf({ names, parsers }: Shape, fields: readonly (string | null)[]): Row {
  if (fields.length !== names.length) throw otherColumns();
  const row: Record<string, unknown> = {};
  for (let index = 0; index < names.length; index++) {
    const text = fields[index] ?? null;
    row[names[index] as string] = text === null ? null : parsers[index]?.(text);
  }
  return row as Row;
}

function otherColumns(): DualDbError {
  const message = "the SELECT gives other columns than its caller named: name those that it selects, in their order";
  return new DualDbError("QUERY_FAILED", message, { side: "postgres" });
}
