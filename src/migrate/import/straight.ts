import { OwnInput } from "../../data/conversion/own-input.js";
import { refusedBecause } from "../../data/refusal.js";
import { encodeRow } from "../../data/rows/copy-text.js";
import { quote, quotedOn } from "../../data/table.js";
import type { PostgresTransaction, Transaction } from "../../engines/engine.js";
import { noteAlterations } from "./alterations.js";
import type { IntakeRow } from "./intake.js";
import { inPortions } from "./portions.js";
import { attempt } from "./savepoint.js";
import { insertRows, mostRows } from "./sqlite-insert.js";
import type { Window } from "./stage-sql.js";
import type { Tally } from "./tally.js";

/** Rows on their way into a table that was empty, some at a time. */
export type RowPages = AsyncIterable<readonly IntakeRow[]>;

/** Everything by COPY. Tells whether it is there: where PostgreSQL refuses a row nothing is. */
export async function copyAll(transaction: PostgresTransaction, tally: Tally, pages: RowPages): Promise<boolean> {
  const { table, target } = tally.intake;
  const columns = table.columns.map((column) => quotedOn("postgres", column)).join(", ");
  const text = `COPY ${quote(target.name)} (${columns}) FROM STDIN`;
  const copied = await attempt(transaction, () =>
    new OwnInput(table).isNeeded
      ? copyPages(transaction, text, tally, pages)
      : transaction.copyIn(text, linesOf(pages)),
  );
  if ("done" in copied) tally.inserted = copied.done;
  return "done" in copied;
}

/** What PostgreSQL's own input makes of a page has to be asked while the page is at hand. */
async function copyPages(
  transaction: PostgresTransaction,
  text: string,
  tally: Tally,
  pages: RowPages,
): Promise<number> {
  let copied = 0;
  for await (const rows of pages) {
    copied += await transaction.copyIn(text, linesOf([rows]));
    await noteAlterations(transaction, tally, rows);
  }
  return copied;
}

/** What SQLite refuses is set aside. */
export async function insertAll(transaction: Transaction, tally: Tally, pages: RowPages): Promise<void> {
  const { table, target } = tally.intake;
  const columns = table.columns.map((column) => quotedOn("sqlite", column));
  const into = { name: quote(target.name), columns, table, numbered: false };
  for await (const rows of pages) {
    const write = ({ from, to }: Window) => insertRows(transaction, into, rows.slice(from - 1, to), "INSERT OR ABORT");
    const { written, refused } = await inPortions(transaction, { from: 1, to: rows.length }, mostRows, write);
    tally.inserted += written;
    for (const [at, error] of refused) {
      const { column, reason } = refusedBecause(table, error);
      tally.setAside(rows[at - 1]?.line ?? 0, column, reason);
    }
  }
}

async function* linesOf(pages: RowPages | Iterable<readonly IntakeRow[]>): AsyncGenerator<Uint8Array> {
  for await (const rows of pages) {
    let text = "";
    for (const { values } of rows) text += encodeRow(values);
    yield Buffer.from(text);
  }
}
