-- Which side is primary, as this side knows it, and the counter that gives each journal entry a version never used again.
CREATE TABLE IF NOT EXISTS dualdb_state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  "primary" TEXT NOT NULL DEFAULT 'sqlite' CHECK ("primary" IN ('sqlite', 'postgres')),
  forced INTEGER NOT NULL DEFAULT 0 CHECK (forced IN (0, 1)),
  cas INTEGER NOT NULL DEFAULT 0,
  version INTEGER NOT NULL DEFAULT 0,
  pair_id TEXT,
  -- PostgreSQL goes on alone: this database is never opened again.
  finalized INTEGER NOT NULL DEFAULT 0 CHECK (finalized IN (0, 1)),
  changed_at INTEGER
);
INSERT OR IGNORE INTO dualdb_state (id) VALUES (1);

-- The rows that PostgreSQL is owed.
CREATE TABLE IF NOT EXISTS dualdb_journal (
  table_name TEXT NOT NULL,
  row_key TEXT NOT NULL,
  version INTEGER NOT NULL,
  touched_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  last_error TEXT,
  PRIMARY KEY (table_name, row_key)
) WITHOUT ROWID;

-- A row in dualdb_guard tells the triggers that the mirror is at work. Its deferred foreign key points into a table that is always
-- empty, so a transaction that leaves it behind cannot commit.
CREATE TABLE IF NOT EXISTS dualdb_never (id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS dualdb_guard (
  id INTEGER PRIMARY KEY,
  never INTEGER NOT NULL REFERENCES dualdb_never (id) DEFERRABLE INITIALLY DEFERRED
);
-- SQLite's own console, for one, does not look at foreign keys unless it is told to.
CREATE TRIGGER IF NOT EXISTS dualdb_guard_needs_foreign_keys BEFORE INSERT ON dualdb_guard
WHEN NOT EXISTS (SELECT 1 FROM pragma_foreign_keys WHERE foreign_keys = 1) BEGIN
  SELECT RAISE(ABORT, 'PRAGMA foreign_keys is off: this row could be committed');
END;

-- Rows written on both sides around a forced roll-back. SQLite's version stayed; the other is gone.
CREATE TABLE IF NOT EXISTS dualdb_conflicts (
  table_name TEXT NOT NULL,
  row_key TEXT NOT NULL,
  found_at INTEGER NOT NULL,
  PRIMARY KEY (table_name, row_key)
) WITHOUT ROWID;
