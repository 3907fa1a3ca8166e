import { isUtf8 } from "node:buffer";
import { chunks } from "./chunks.js";
import { type Column, quote, type Table } from "./table.js";

/** Rows of SQLite as data for COPY that SQLite itself has written, and that nobody has to look at in between. */
export interface CsvPage {
  readonly data: Uint8Array;
  readonly rows: number;
}

/** How PostgreSQL has to be told to read it. Control characters keep what ordinary text holds from being taken for anything else. */
export const csvFormat = "(FORMAT csv, DELIMITER E'\\x1f', QUOTE E'\\x01', NULL '')";

/**
 * The SQL expression for all rows of a SELECT. A value that is not what its column promises, or that would need more than quotes, becomes
 * a mark: then the page is not plain, and its rows have to be converted one by one. What is plain means to PostgreSQL what conversion
 * would have made of it.
 */
export function csvPage(table: Table): string {
  const lists = [...chunks(table.columns.map(csvCell), mostArguments)].map(
    (part) => `concat_ws(char(31), ${part.join(", ")})`,
  );
  const row = lists.length === 1 ? lists.join() : `concat_ws(char(31), ${lists.join(", ")})`;
  return `CAST(group_concat(${row}, char(10)) || char(10) AS BLOB)`;
}

/** Whether no value has left a mark, and PostgreSQL can hold all of the text. */
export function isPlainCsv(data: Uint8Array): boolean {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return !bytes.includes(markCode) && !bytes.includes(0) && isUtf8(bytes);
}

/** SQLite takes 127 arguments for one function. */
const mostArguments = 100;
const markCode = 2;
const mark = "char(2)";

function csvCell(column: Column): string {
  const name = quote(column.name);
  const none = column.notNull ? mark : "''";
  switch (column.kind) {
    case "text":
      if (isOf(column, "text"))
        return `CASE WHEN typeof(${name}) = 'text' AND instr(${name}, char(1)) = 0 THEN char(1) || ${name} || char(1) WHEN ${name} IS NULL THEN ${none} ELSE ${mark} END`;
      break;
    case "integer":
    case "bigint":
    case "boolean":
      if (isOf(column, "smallint", "integer", "bigint", "boolean"))
        return `CASE typeof(${name}) WHEN 'integer' THEN ${name} WHEN 'null' THEN ${none} ELSE ${mark} END`;
      break;
    case "real":
      if (isOf(column, "double precision"))
        return `CASE typeof(${name}) WHEN 'real' THEN printf('%!.17g', ${name}) WHEN 'null' THEN ${none} ELSE ${mark} END`;
      break;
  }
  return `CASE WHEN ${name} IS NULL THEN ${none} ELSE ${mark} END`;
}

/** Domains and types with limits do more than their names say. */
function isOf({ type }: Column, ...types: readonly string[]): boolean {
  return type === undefined || types.includes(type);
}
