import { TaskCancelledError, TimeoutStrategy, timeout } from "cockatiel";
import { errorFields } from "../errors.js";
import type { Logger } from "../logger.js";
import type { Bound } from "./statements.js";
import { jsonTextValue, jsonValue, type Outcome, textValue } from "./values.js";

/** One run of a caller's analyzer. */
export interface Analysis {
  /** The call that it is part of. */
  readonly functionName: string;
  readonly timeoutMs: number;
  readonly logger: Logger;
  readonly work: (signal: AbortSignal) => Promise<unknown>;
}

/** Which field of an answer goes into a column, and how. */
export type AnswerShape<Column extends string> = Readonly<Record<Column, AnswerField>>;

interface AnswerField {
  readonly from: string;
  readonly as: (answer: unknown) => Outcome;
}

/**
 * The columns that an analyzer fills. Whatever it does, the row is saved: what it throws, a time-out (its signal is then aborted) and
 * what no column can hold is logged, without values, and leaves null; so does the want of an analyzer.
 */
export async function analysedColumns<Column extends string>(
  analysis: Analysis | undefined,
  shape: AnswerShape<Column>,
): Promise<Record<Column, Bound>> {
  if (analysis === undefined) return unanalysed(shape);
  try {
    return columnsFrom(await answerOf(analysis), shape, analysis);
  } catch (error) {
    const reason = error instanceof TaskCancelledError ? "timed out" : "failed";
    warn(analysis, { ...errorFields(error), reason });
    return unanalysed(shape);
  }
}

/** For a text column: text, a number or a flag as text, anything else as JSON. */
export function asText(answer: unknown): Outcome {
  return typeof answer === "number" || typeof answer === "boolean" ? textValue(String(answer)) : jsonTextValue(answer);
}

/** For a JSON column. */
export const asJson = jsonValue;

/** Cockatiel's timer keeps the process alive until the analyzer is done or out of time: somebody is waiting for the row. */
function answerOf({ timeoutMs, work }: Analysis): Promise<unknown> {
  const policy = timeout(timeoutMs, { strategy: TimeoutStrategy.Aggressive, abortOnReturn: false });
  return policy.execute(({ signal }) => work(signal));
}

function columnsFrom<Column extends string>(
  answer: unknown,
  shape: AnswerShape<Column>,
  analysis: Analysis,
): Record<Column, Bound> {
  const columns = unanalysed(shape);
  if (answer === undefined || answer === null) return columns;
  if (typeof answer !== "object") {
    warn(analysis, { reason: "answered no object" });
    return columns;
  }
  for (const [column, { from, as }] of Object.entries<AnswerField>(shape)) {
    columns[column as Column] = fieldOf((answer as Record<string, unknown>)[from], as, () =>
      warn(analysis, { reason: "answered a value that the column cannot hold", column }),
    );
  }
  return columns;
}

function unanalysed<Column extends string>(shape: AnswerShape<Column>): Record<Column, Bound> {
  return Object.fromEntries(Object.keys(shape).map((column) => [column, null])) as Record<Column, Bound>;
}

function fieldOf(field: unknown, as: AnswerField["as"], refuse: () => void): Bound {
  if (field === undefined || field === null) return null;
  const outcome = as(field);
  if ("value" in outcome) return outcome.value;
  refuse();
  return null;
}

function warn({ logger, functionName }: Analysis, fields: object): void {
  logger.warn({ event: "analysis-failed", function: functionName, ...fields }, "analysis failed, saved without it");
}
