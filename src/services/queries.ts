import sql, { raw } from "sql-template-tag";
import { z } from "zod";
import { type AnswerShape, analysedColumns, asJson, asText } from "./analysis.js";
import { checked, checkedText, limit, offset, optionalJson, optionalNumber, optionalText, text } from "./inputs.js";
import { type ServiceParts, type Source, sourceOf } from "./parts.js";
import { type QueryRecord, queries } from "./records.js";
import { readById, readCount, readRecords } from "./rows.js";
import { condition, countFrom, plainText, preparedInsert, preparedLookup, selectFrom, where } from "./statements.js";
import type { JsonInput, NumberInput } from "./values.js";

/** A question that a user put to the bot, and what came of it. */
export interface SavedQuery {
  readonly userId: string;
  readonly username: string;
  readonly queryText: string;
  readonly translatedSql?: string | null | undefined;
  readonly aiSummary?: string | null | undefined;
  readonly queryResult?: JsonInput;
  readonly resultCount?: NumberInput;
  readonly error?: string | null | undefined;
  readonly executionTimeMs?: NumberInput;
}

export interface QueryFilter {
  readonly userId?: string | null | undefined;
  /** 1 to 1,000; 0 or absent is 50. */
  readonly limit?: NumberInput;
  readonly offset?: NumberInput;
}

/** Absent values are null; `queryResult` is JSON text, or the text that was saved. */
export interface QueryToAnalyze {
  readonly queryText: string;
  readonly username: string;
  readonly queryResult: string | null;
  readonly error: string | null;
  readonly resultCount: number | null;
}

export interface QueryAnalysis {
  readonly sentimentAnalysis?: JsonInput;
  readonly queryComplexity?: string | null | undefined;
  readonly userSatisfaction?: string | null | undefined;
}

/** Called once for each query that is saved. `signal` is aborted when the time is up. */
export type AnalyzeQuery = (
  query: QueryToAnalyze,
  signal: AbortSignal,
) => QueryAnalysis | null | undefined | Promise<QueryAnalysis | null | undefined>;

/** What users asked. Every wrong input is VALIDATION_FAILED, before any SQL. */
export interface QueryService {
  /** Saves a query, analysed where an analyzer is configured. → its id */
  saveQuery(query: SavedQuery): Promise<string>;
  /** Newest first. */
  getRecentQueries(filter?: QueryFilter): Promise<QueryRecord[]>;
  getQueryById(id: string): Promise<QueryRecord | null>;
  getQueryCount(filter?: Pick<QueryFilter, "userId">): Promise<number>;
}

export interface QueryParts extends ServiceParts {
  readonly analyze?: AnalyzeQuery | undefined;
  readonly analysisTimeoutMs: number;
}

export function createQueryService(parts: QueryParts): QueryService {
  const source = sourceOf(parts);
  return {
    saveQuery: (query) => saveQuery(source, parts, query),
    getRecentQueries: (filter) => getRecentQueries(source, filter),
    getQueryById: (id) => getQueryById(source, id),
    getQueryCount: (filter) => getQueryCount(source, filter),
  };
}

const checkQuery = checked(
  "saveQuery",
  queries,
  z.object({
    userId: text,
    username: text,
    queryText: text,
    translatedSql: optionalText,
    aiSummary: optionalText,
    queryResult: optionalJson,
    resultCount: optionalNumber("integer"),
    error: optionalText,
    executionTimeMs: optionalNumber("integer"),
  }),
);
const checkPage = checked("getRecentQueries", queries, z.object({ userId: optionalText, limit: limit(50), offset }));
const checkCount = checked("getQueryCount", queries, z.object({ userId: optionalText }));

const answerShape = {
  sentiment_analysis: { from: "sentimentAnalysis", as: asJson },
  query_complexity: { from: "queryComplexity", as: asText },
  user_satisfaction: { from: "userSatisfaction", as: asText },
} satisfies AnswerShape<string>;

const insertQuery = preparedInsert(
  queries,
  queries.columns.map(({ name }) => name as keyof QueryRecord),
);
const selectQueries = selectFrom(queries);
const selectCount = countFrom(queries);
const newestFirst = raw(" ORDER BY timestamp DESC, id DESC");
const queryById = preparedLookup(queries, "id");

async function saveQuery(source: Source, parts: QueryParts, input: SavedQuery): Promise<string> {
  const query = checkQuery(input);
  const id = source.newId();
  const times = { timestamp: source.milliseconds(), created_at: source.seconds() };
  const answers = await analyse(source, parts, query);
  await source.adapter.write([insertQuery({ id, ...times, ...columnsOfQuery(query), ...answers })]);
  return id;
}

type CheckedQuery = ReturnType<typeof checkQuery>;

function columnsOfQuery(query: CheckedQuery) {
  return {
    user_id: query.userId,
    username: query.username,
    query_text: query.queryText,
    translated_sql: query.translatedSql,
    ai_summary: query.aiSummary,
    query_result: query.queryResult,
    result_count: query.resultCount,
    error: query.error,
    execution_time_ms: query.executionTimeMs,
  };
}

function analyse({ logger }: Source, { analyze, analysisTimeoutMs: timeoutMs }: QueryParts, query: CheckedQuery) {
  const { queryText, username, error, resultCount } = query;
  const work = async (signal: AbortSignal) =>
    analyze?.({ queryText, username, queryResult: plainText(query.queryResult), error, resultCount }, signal);
  const analysis = analyze && { functionName: "saveQuery", timeoutMs, logger, work };
  return analysedColumns(analysis, answerShape);
}

async function getRecentQueries({ adapter }: Source, input: QueryFilter = {}): Promise<QueryRecord[]> {
  const page = checkPage(input);
  const filter = where(condition("user_id", "=", page.userId));
  const statement = sql`${selectQueries}${filter}${newestFirst} LIMIT ${page.limit} OFFSET ${page.offset}`;
  return readRecords(adapter, queries, statement);
}

async function getQueryById({ adapter }: Source, input: string): Promise<QueryRecord | null> {
  const id = checkedText("getQueryById", "id", input, queries);
  return readById(adapter, queries, queryById(id), id);
}

async function getQueryCount({ adapter }: Source, input: Pick<QueryFilter, "userId"> = {}): Promise<number> {
  const { userId } = checkCount(input);
  return readCount(adapter, queries, sql`${selectCount}${where(condition("user_id", "=", userId))}`);
}
