import type { DiscoveredColumn } from "../catalogue/catalogue.js";
import { affinityOf, limitsOfDeclared } from "../catalogue/sqlite-type.js";
import type { ColumnSurvey } from "./column-survey.js";

/** The type that a column of SQLite gets in PostgreSQL, and why it is another one than its declaration names. */
export interface ChosenType {
  readonly type: string;
  readonly note: string | null;
}

/**
 * The richest type of PostgreSQL that the declaration names and in which every value survives the way there and back; else one by what
 * the column holds. A key has to be spelled alike on both sides, which rules some types out.
 */
export function chooseType(column: DiscoveredColumn, survey: ColumnSurvey, isKey: boolean): ChosenType {
  const declared = column.sqliteType ?? "";
  const candidates = namedBy(declared, survey).filter(({ type }) => !isKey || !differsInKeys.test(type));
  const fitting = candidates.find(({ fits }) => fits);
  if (fitting !== undefined)
    return { type: fitting.type, note: noteOf(declared, candidates[0]?.type, fitting.type, survey, isKey) };
  const type = byValues(column, survey);
  return { type, note: noteOf(declared, candidates[0]?.type, type, survey, isKey) };
}

const differsInKeys = /^(timestamp|time\b|numeric\(\d+,[1-9])/;

interface Candidate {
  readonly type: string;
  readonly fits: boolean;
}

/** What the name of the type promises, the richest first. */
function namedBy(declared: string, survey: ColumnSurvey): Candidate[] {
  const name = declared.toUpperCase();
  const only = kindsIn(survey);
  const isText = only === "" || only === "text";
  if (/BOOL/.test(name))
    return [{ type: "boolean", fits: (only === "" || only === "integer") && survey.noFlags === 0 }];
  if (/UUID|GUID|UNIQUEIDENTIFIER/.test(name)) return [{ type: "uuid", fits: isText && survey.uuids === survey.texts }];
  if (/JSON/.test(name)) {
    const valid = isText && survey.documents === survey.texts;
    return [
      { type: "jsonb", fits: valid && survey.looseDocuments === 0 },
      { type: "json", fits: valid },
    ];
  }
  if (/DATE|TIME/.test(name)) return [timeCandidate(name, survey, isText)];
  return numberOrText(name, survey, only);
}

function timeCandidate(name: string, { texts, timeTexts, timeType }: ColumnSurvey, isText: boolean): Candidate {
  const isZoned = /TZ|WITH TIME ZONE/.test(name);
  const named = /STAMP|DATETIME/.test(name)
    ? isZoned
      ? "timestamptz"
      : "timestamp"
    : /DATE/.test(name)
      ? "date"
      : "time";
  if (texts === 0) return { type: named, fits: isText };
  return { type: timeType ?? named, fits: isText && timeType !== null && timeTexts === texts };
}

function numberOrText(name: string, survey: ColumnSurvey, only: string): Candidate[] {
  const [limit, scale = 0] = limitsOfDeclared(name);
  const isInteger = only === "" || only === "integer";
  const isNumber = isInteger || only === "real" || only === "integer, real";
  const isText = (only === "" || only === "text") && survey.withNul === 0;
  const whole = { type: "bigint", fits: isInteger };
  if (/SMALLINT|TINYINT|INT2/.test(name))
    return [{ type: "smallint", fits: isInteger && isWithin(survey, 32_767n) }, whole];
  if (name.includes("INT")) return [whole];
  if (/CHAR/.test(name) && limit !== undefined && limit > 0 && limit <= 10_485_760)
    return [{ type: `varchar(${limit})`, fits: isText && survey.length <= limit }];
  if (/CHAR|CLOB|TEXT|STRING/.test(name)) return [{ type: "text", fits: isText }];
  if (/BLOB|BINARY|BYTEA/.test(name)) return [{ type: "bytea", fits: only === "" || only === "blob" }];
  if (/REAL|FLOA|DOUB/.test(name)) return [{ type: "double precision", fits: only === "" || only === "real" }];
  if (!/DEC|NUM|MONEY/.test(name)) return [];
  const any = { type: "numeric", fits: isNumber };
  return limit === undefined || limit > 1_000 || scale > limit ? [any] : [limited(limit, scale, survey, isNumber), any];
}

function limited(precision: number, scale: number, { finer, size }: ColumnSurvey, isNumber: boolean): Candidate {
  // A float of more than 15 digits may have decimals that its rounding hides.
  const fits = isNumber && finer === 0 && size < 10 ** (precision - scale) && size < 10 ** (15 - scale);
  return { type: `numeric(${precision},${scale})`, fits };
}

function isWithin({ smallest, largest }: ColumnSurvey, limit: bigint): boolean {
  return (smallest ?? 0n) >= -limit - 1n && (largest ?? 0n) <= limit;
}

/** By what is there: numbers, else bytes, else text. */
function byValues({ sqliteType = "" }: DiscoveredColumn, survey: ColumnSurvey): string {
  const only = kindsIn(survey);
  if (only === "") return emptyTypes[affinityOf(sqliteType)];
  if (only === "integer") return "bigint";
  if (only === "real") return "double precision";
  if (only === "integer, real") return "numeric";
  return only === "blob" ? "bytea" : "text";
}

const emptyTypes = {
  integer: "bigint",
  text: "text",
  none: "text",
  real: "double precision",
  numeric: "text",
} as const;

/** Which of SQLite's storage classes are there. */
function kindsIn({ integers, reals, texts, blobs }: ColumnSurvey): string {
  return Object.entries({ integer: integers, real: reals, text: texts, blob: blobs })
    .filter(([, count]) => count > 0)
    .map(([kind]) => kind)
    .join(", ");
}

function noteOf(
  declared: string,
  richest: string | undefined,
  type: string,
  survey: ColumnSurvey,
  isKey: boolean,
): string | null {
  const { withNul } = survey;
  const texts = withNul === 1 ? "1 text has" : `${withNul.toLocaleString("en")} texts have`;
  if (withNul > 0) return `${texts} NUL, which ${type} cannot hold: ${isKey ? "refused in a key" : "altered"}`;
  const mixed = type === "text" && /,|blob/.test(kindsIn(survey));
  if (mixed)
    return `declared ${declared || "without a type"}, but holds ${kindsIn(survey)}: made text, and the rest arrives as text`;
  if (richest === undefined || richest === type) return null;
  return `declared ${declared}, but not every value survives as ${richest}: made ${type}`;
}
