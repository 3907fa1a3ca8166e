import type { Column, Kind } from "../table.js";

/** A type of PostgreSQL taken apart: its name without limits, and the limits. */
export interface PostgresType {
  readonly name: string;
  /** For `numeric(9,2)`: 9 and 2; for `timestamp(3) with time zone`: 3. */
  readonly limits: readonly number[];
}

/** The type that rules what a column can hold: for a domain the one that it stands on. */
export function typeOfColumn({ type, base, kind }: Column): PostgresType {
  const text = base ?? type ?? typesByKind[kind];
  const limits = /\(([\d,-]+)\)/.exec(text);
  return {
    name: text.replace(/\s*\([\d,-]+\)/, ""),
    limits: limits?.[1]?.split(",").map(Number) ?? [],
  };
}

/** The type that a kind means where a table was written down and not discovered. */
export const typesByKind: Readonly<Record<Kind, string>> = {
  text: "text",
  integer: "integer",
  bigint: "bigint",
  real: "double precision",
  boolean: "boolean",
  json: "jsonb",
  blob: "bytea",
  numeric: "numeric",
  other: "text",
};

const kinds: Readonly<Record<string, Kind>> = {
  smallint: "integer",
  integer: "integer",
  bigint: "bigint",
  real: "real",
  "double precision": "real",
  boolean: "boolean",
  json: "json",
  jsonb: "json",
  bytea: "blob",
  numeric: "numeric",
  text: "text",
  "character varying": "text",
  character: "text",
  bpchar: "text",
};

/** The kind of a type as PostgreSQL's catalogue prints it. */
export function kindOfPostgres(type: string): Kind {
  return kinds[type.replace(/\([\d,-]+\)/, "")] ?? "other";
}
