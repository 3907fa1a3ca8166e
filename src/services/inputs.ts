import { z } from "zod";
import { checkNumber, type NumberKind } from "../data/conversion/number.js";
import { cleanText } from "../data/conversion/text.js";
import type { Table } from "../data/table.js";
import { DualDbError } from "../errors.js";
import type { Bound } from "./statements.js";
import { flagValue, jsonTextValue, jsonValue, type Outcome } from "./values.js";

/** The most rows that one call gives. */
export const largestLimit = 1_000;

/** Text that must be there. */
export const text = z.string().overwrite(cleanText);
/** Text that may be absent. */
export const optionalText = text.nullish().transform((value) => value ?? null);
/** A JSON document that may be absent. */
export const optionalJson = optional<Bound>(jsonValue);
/** JSON for a text column that may be absent. */
export const optionalJsonText = optional<Bound>(jsonTextValue);
/** A flag that is true where it is absent. */
export const flagOrTrue = optional<0 | 1, 1>(flagValue, 1);
/** How many rows to pass over: 0 or absent is none. */
export const offset = optional(offsetValue, 0);

/** A number that may be absent. */
export function optionalNumber(kind: NumberKind) {
  return optional<number>((value) => checkNumber(kind, value));
}

/** How many rows to give at most: 0 or absent is the default. */
export function limit(fallback: number) {
  return optional((value) => limitValue(value, fallback), fallback);
}

/** A function's check of its one argument: what comes out is what the statements need. */
export function checked<S extends z.ZodType>(functionName: string, table: Table, schema: S) {
  return (input: unknown): z.output<S> => {
    const result = schema.safeParse(input);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    throw invalid(functionName, String(issue?.path[0] ?? "input"), reasonOf(issue?.message), table);
  };
}

/** A text argument by itself: an id. */
export function checkedText(functionName: string, field: string, value: unknown, table: Table): string {
  if (typeof value === "string") return cleanText(value);
  throw invalid(functionName, field, `expected text, received ${value === null ? "null" : typeof value}`, table);
}

/** VALIDATION_FAILED for one field, never with its value. */
export function invalid(functionName: string, field: string, reason: string, table: Table): DualDbError {
  const name = field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const column = table.columns.some((candidate) => candidate.name === name) ? name : undefined;
  const options = { table: table.name, column, details: { function: functionName, field } };
  return new DualDbError("VALIDATION_FAILED", `${functionName}: ${field}: ${reason}`, options);
}

function optional<T extends Bound, F extends T | null = null>(check: (value: unknown) => Outcome, fallback?: F) {
  return z
    .unknown()
    .optional()
    .transform((value, context): T | F => {
      if (value === undefined || value === null) return (fallback ?? null) as F;
      const outcome = check(value);
      if ("value" in outcome) return outcome.value as T;
      context.addIssue(outcome.reason);
      return z.NEVER;
    });
}

function limitValue(value: unknown, fallback: number): Outcome {
  const outcome = checkNumber("bigint", value);
  if ("reason" in outcome) return outcome;
  if (outcome.value < 0 || outcome.value > largestLimit)
    return { reason: `expected a number from 0 to ${largestLimit}` };
  return outcome.value === 0 ? { value: fallback } : outcome;
}

function offsetValue(value: unknown): Outcome {
  const outcome = checkNumber("bigint", value);
  return "value" in outcome && outcome.value < 0 ? { reason: "expected a number from 0" } : outcome;
}

function reasonOf(message: string | undefined): string {
  return (message ?? "invalid").replace(/^Invalid input: /, "").replaceAll("expected string", "expected text");
}
