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

-- The routes that the application has taken, the present one last. What is counted, and what the gates judge, counts from there.
CREATE TABLE IF NOT EXISTS dualdb_steps (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  pair_id TEXT,
  route TEXT NOT NULL,
  began_at BIGINT NOT NULL
);

-- What the application's processes have counted since a step began; each adds to it every few seconds. Of an error that was logged,
-- name is the event and code the error's.
CREATE TABLE IF NOT EXISTS dualdb_counters (
  step BIGINT NOT NULL REFERENCES dualdb_steps (id) ON DELETE CASCADE,
  kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('count', 'error')),
  name TEXT COLLATE "C" NOT NULL,
  code TEXT COLLATE "C" NOT NULL DEFAULT '',
  total BIGINT NOT NULL,
  first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  PRIMARY KEY (step, kind, name, code)
);

-- What commands have done and found: counts and names, never a value. Of one that is running, ended_at is its process's last sign of life.
CREATE TABLE IF NOT EXISTS dualdb_runs (
  id TEXT COLLATE "C" PRIMARY KEY,
  pair_id TEXT,
  command TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('running', 'done', 'differs', 'failed', 'interrupted')),
  began_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL,
  facts JSONB NOT NULL
);
