import { type Engine, statement } from "../engines/engine.js";

/**
 * Rebuilds messages_fts where it no longer belongs to the rows of messages; resolves to whether it had to.
 *
 * The index refers to rowids. A file that was dumped and restored has rowids without gaps, so that the last of them is smaller than the
 * index's last exactly when any of them has changed: two look-ups tell, whatever the size.
 */
export async function rebuildStaleSearch(engine: Engine): Promise<boolean> {
  const [row] = await engine.read(statement(lastRowsDiffer));
  if (!row?.stale) return false;
  await engine.write([statement("INSERT INTO messages_fts (messages_fts) VALUES ('rebuild')")]);
  return true;
}

const lastRowsDiffer = `
  SELECT (SELECT max(rowid) FROM messages) IS NOT (SELECT max(id) FROM messages_fts_docsize) AS stale`;
