-- Which side is primary, as this side knows it. Every mirror pass, copy and flip of every process locks this row.
-- wanted tells where a flip was heading, for whoever takes it up after a crash.
CREATE TABLE IF NOT EXISTS dualdb_state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  "primary" TEXT NOT NULL DEFAULT 'sqlite' CHECK ("primary" IN ('sqlite', 'postgres')),
  wanted TEXT NOT NULL DEFAULT 'sqlite' CHECK (wanted IN ('sqlite', 'postgres')),
  pair_id TEXT,
  finalized BOOLEAN NOT NULL DEFAULT FALSE,
  changed_at BIGINT,
  -- Makes "primary" part of a key, so that a change of it, and no other lock on the row, ends a writer that locks it FOR KEY SHARE and
  -- whose snapshot is older.
  UNIQUE (id, "primary")
);
INSERT INTO dualdb_state (id) VALUES (1) ON CONFLICT DO NOTHING;

-- A condition for reads: true where this side is primary, else an error. STABLE, so that it looks at the same snapshot as the
-- statement; a function, since its plan is kept, where a subquery would be planned anew with every read.
CREATE OR REPLACE FUNCTION dualdb_require_primary() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
  found_primary TEXT;
BEGIN
  SELECT "primary" INTO found_primary FROM dualdb_state;
  IF found_primary = 'postgres' THEN
    RETURN TRUE;
  END IF;
  RAISE EXCEPTION 'NOT_PRIMARY' USING ERRCODE = 'DD001';
END $$;

-- The rows that SQLite is owed.
CREATE TABLE IF NOT EXISTS dualdb_journal (
  table_name TEXT COLLATE "C" NOT NULL,
  row_key TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  touched_at BIGINT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  last_error TEXT,
  PRIMARY KEY (table_name, row_key)
);
CREATE SEQUENCE IF NOT EXISTS dualdb_version;
