import type { Kind } from "../table.js";

/** The kinds of column that hold numbers a service knows. */
export type NumberKind = Extract<Kind, "integer" | "bigint" | "real">;

/** A number that the column can hold, or why it cannot. */
export type NumberCheck = { readonly value: number } | { readonly reason: string };

const ranges = {
  integer: { from: -2_147_483_648, to: 2_147_483_647 },
  bigint: { from: Number.MIN_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER },
  real: { from: -Number.MAX_VALUE, to: Number.MAX_VALUE },
} as const;

/** Whether a column of that kind can hold a number, numeric text or a boolean (0 or 1), and as which number. */
export function checkNumber(kind: NumberKind, input: unknown): NumberCheck {
  const number = numberOf(input);
  if (number === undefined) return { reason: "expected a number or numeric text" };
  if (!Number.isFinite(number)) return { reason: "expected a finite number" };
  const value = kind === "real" ? number + 0 : roundHalfAway(number);
  const { from, to } = ranges[kind];
  return value < from || value > to ? { reason: `expected a number from ${from} to ${to}` } : { value };
}

/** The nearest integer, halves away from zero, as PostgreSQL rounds a `numeric`. */
export function roundHalfAway(number: number): number {
  const size = Math.abs(number);
  const rounded = size >= 2 ** 52 ? size : Math.trunc(size) + (size % 1 >= 0.5 ? 1 : 0);
  return number < 0 ? 0 - rounded : rounded;
}

/** Text that is a decimal number and nothing else. */
export function parseNumber(text: string): number | undefined {
  return decimal.test(text) ? Number(text) : undefined;
}

const decimal = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/;

function numberOf(input: unknown): number | undefined {
  if (typeof input === "number") return input;
  if (typeof input === "string") return parseNumber(input);
  if (typeof input === "boolean" || typeof input === "bigint") return Number(input);
  return undefined;
}
