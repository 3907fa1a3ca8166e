import { openAt, script, sqlite } from "../support/libsql.js";
import { runAt } from "../support/postgres.js";
import type { AddedColumn } from "./added-columns.js";
import { type FollowedTable, followed, type Row } from "./tables.js";

/** What the two databases look like to themselves: triggers of the run's own, beside those of the package, write down what happens. */
export interface Observed {
  readonly sqliteFile: string;
  readonly postgresUrl: string;
  /** Columns that tables have been given since they were made. */
  readonly columns: readonly AddedColumn[];
}

/** A row under the key that the journal has for it; null where there was none. */
export interface Image {
  readonly table: string;
  readonly key: string;
  readonly row: Row | null;
}

/** A side has become primary or has ceased to be, in milliseconds since 1970. */
export interface Move {
  readonly at: number;
  readonly primary: string;
}

/** A roll-back that was forced, from its beginning until everything that PostgreSQL owed was in. */
export interface ForcedRollBack {
  readonly from: number;
  readonly to: number;
  /** When PostgreSQL ceased to be primary by its own state, which a process goes by that was not told. */
  readonly closed: number;
  /** SQLite's rows at its beginning. */
  readonly before: readonly Image[];
  /** Rows that PostgreSQL owed, as it had them when it ceased to be primary. */
  readonly owed: readonly Image[];
  /** Rows that were written on SQLite meanwhile, as they were then. */
  readonly written: readonly Image[];
  /** Rows that the package has named as conflicts. */
  readonly conflicts: readonly Image[];
}

export interface Trail {
  readonly sqlite: readonly Move[];
  readonly postgres: readonly Move[];
  readonly rollBacks: readonly ForcedRollBack[];
  /** Conflicts that were named while there was no forced roll-back. */
  readonly strayConflicts: readonly Image[];
}

/** PostgreSQL's part, when its tables are there. */
export async function observePostgres(url: string): Promise<void> {
  await runAt(url, postgresObservers);
}

/** SQLite's part, when the package has made its tables, and again when a table has got a column. */
export function sqliteObservers(columns: readonly AddedColumn[]): string {
  return `${trailTable};${triggerNames.map((name) => `DROP TRIGGER IF EXISTS ${name};`).join("")}${sqliteTriggers(columns)}`;
}

export async function observeSqlite({ sqliteFile, columns }: Observed): Promise<void> {
  const engine = await openAt(sqliteFile);
  try {
    await script(engine, `${sqliteObservers(columns)};${presentState}`);
  } finally {
    await engine.close();
  }
}

/** What has been written down since the last time; the databases are at rest. */
export async function readTrail({ sqliteFile, postgresUrl }: Observed): Promise<Trail> {
  const lines = await takeSqlite(sqliteFile);
  const { moves, images } = await takePostgres(postgresUrl);
  const stretches = stretchesOf(lines);
  const inside = new Set(stretches.flat());
  return {
    sqlite: lines.filter(({ what }) => what === "state").map(({ at, primary }) => ({ at, primary: String(primary) })),
    postgres: moves,
    rollBacks: stretches.map((stretch) => rollBackOf(stretch, moves, images)),
    strayConflicts: lines.filter((line) => line.what === "conflict" && !inside.has(line)).map(imageOf),
  };
}

const trailTable = `CREATE TABLE IF NOT EXISTS torture_trail (n INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, what TEXT NOT NULL,
  "primary" TEXT, forced INTEGER, table_name TEXT, row_key TEXT, image TEXT)`;
const triggerNames = ["state", "entered", "entered_again", "conflict", "conflict_again"].map(
  (name) => `torture_${name}`,
);
const now = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";
const presentState = `INSERT INTO torture_trail (at, what, "primary", forced)
  SELECT ${now}, 'state', "primary", forced FROM dualdb_state WHERE NOT EXISTS (SELECT 1 FROM torture_trail)`;

function sqliteTriggers(columns: readonly AddedColumn[]): string {
  const images = followed.map(
    (table) => `INSERT INTO torture_trail (at, what, table_name, row_key, image)
      SELECT ${now}, 'image', '${table.table}', ${sqliteKey(table)}, ${sqliteImage(table, columns)} FROM ${table.table} AS t
      WHERE NEW.forced = 1 AND OLD.forced = 0`,
  );
  const image = followed.map(
    (table) =>
      `WHEN '${table.table}' THEN (SELECT ${sqliteImage(table, columns)} FROM ${table.table} AS t WHERE ${sqliteKey(table)} = NEW.row_key)`,
  );
  const row = `INSERT INTO torture_trail (at, what, table_name, row_key, image) VALUES (${now}`;
  const entered = `WHEN (SELECT forced FROM dualdb_state) = 1 BEGIN
    ${row}, 'written', NEW.table_name, NEW.row_key, CASE NEW.table_name ${image.join(" ")} END); END`;
  const conflict = `BEGIN ${row}, 'conflict', NEW.table_name, NEW.row_key, NULL); END`;
  return [
    `CREATE TRIGGER torture_state AFTER UPDATE OF "primary", forced ON dualdb_state BEGIN
      INSERT INTO torture_trail (at, what, "primary", forced) VALUES (${now}, 'state', NEW."primary", NEW.forced);
      ${images.join(";")}; END`,
    `CREATE TRIGGER torture_entered AFTER INSERT ON dualdb_journal ${entered}`,
    `CREATE TRIGGER torture_entered_again AFTER UPDATE OF version ON dualdb_journal ${entered}`,
    `CREATE TRIGGER torture_conflict AFTER INSERT ON dualdb_conflicts ${conflict}`,
    `CREATE TRIGGER torture_conflict_again AFTER UPDATE ON dualdb_conflicts ${conflict}`,
  ].join(";");
}

function sqliteKey({ key }: FollowedTable): string {
  return key.map((column) => `CAST(t.${column} AS TEXT)`).join(" || ',' || ");
}

function sqliteImage({ table, columns, naming }: FollowedTable, added: readonly AddedColumn[]): string {
  const names = [...columns, ...naming, ...added.filter((one) => one.table === table).map(({ column }) => column)];
  return `json_object(${names.map((name) => `'${name}', t.${name}`).join(", ")})`;
}

const postgresObservers = `CREATE SCHEMA torture;
CREATE TABLE torture.moves (n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "primary" TEXT NOT NULL, wanted TEXT NOT NULL);
CREATE TABLE torture.images (move BIGINT NOT NULL, table_name TEXT NOT NULL, row_key TEXT NOT NULL, image JSONB);
INSERT INTO torture.moves ("primary", wanted) SELECT "primary", wanted FROM public.dualdb_state;
CREATE FUNCTION torture.moved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  move BIGINT;
BEGIN
  INSERT INTO torture.moves ("primary", wanted) VALUES (NEW."primary", NEW.wanted) RETURNING n INTO move;
  IF OLD."primary" = 'postgres' AND NEW."primary" = 'sqlite' THEN
    ${followed.map(postgresImages).join("\n    ")}
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER torture_moved AFTER UPDATE OF "primary", wanted ON public.dualdb_state FOR EACH ROW EXECUTE FUNCTION torture.moved()`;

function postgresImages({ table, key }: FollowedTable): string {
  const keyText = key.map((column) => `t.${column}::text`).join(" || ',' || ");
  return `INSERT INTO torture.images SELECT move, j.table_name, j.row_key, CASE WHEN t.${key[0]} IS NULL THEN NULL ELSE to_jsonb(t) END
      FROM public.dualdb_journal AS j LEFT JOIN public.${table} AS t ON ${keyText} = j.row_key WHERE j.table_name = '${table}';`;
}

interface TrailLine {
  readonly n: number;
  readonly at: number;
  readonly what: string;
  readonly primary: string | null;
  readonly forced: boolean;
  readonly table: string;
  readonly key: string;
  readonly row: Row | null;
}

/** All lines; the last state stays, since the next round begins with it. */
async function takeSqlite(file: string): Promise<TrailLine[]> {
  const engine = await openAt(file);
  try {
    const rows = await engine.read(sqlite("SELECT * FROM torture_trail ORDER BY n"));
    await script(
      engine,
      `DELETE FROM torture_trail WHERE n <> (SELECT MAX(n) FROM torture_trail WHERE what = 'state')`,
    );
    return rows.map((row) => ({
      n: Number(row.n),
      at: Number(row.at),
      what: String(row.what),
      primary: row.primary === null ? null : String(row.primary),
      forced: row.forced === 1,
      table: String(row.table_name),
      key: String(row.row_key),
      row: row.image === null ? null : (JSON.parse(String(row.image)) as Row),
    }));
  } finally {
    await engine.close();
  }
}

interface PostgresMove extends Move {
  readonly n: number;
}

interface PostgresImage extends Image {
  readonly move: number;
}

async function takePostgres(
  url: string,
): Promise<{ readonly moves: readonly PostgresMove[]; readonly images: readonly PostgresImage[] }> {
  const moves = await runAt(
    url,
    `SELECT n::int, "primary", (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000)::float AS at FROM torture.moves ORDER BY n`,
  );
  const images = await runAt(url, "SELECT move::int, table_name, row_key, image FROM torture.images");
  await runAt(
    url,
    "DELETE FROM torture.images; DELETE FROM torture.moves WHERE n < (SELECT MAX(n) FROM torture.moves)",
  );
  return {
    moves: moves.map(({ n, at, primary }) => ({ n: Number(n), at: Number(at), primary: String(primary) })),
    images: images.map(({ move, table_name, row_key, image }) => ({
      move: Number(move),
      table: String(table_name),
      key: String(row_key),
      row: image as Row | null,
    })),
  };
}

/** The lines from each state that is forced to the next one that is not. */
function stretchesOf(lines: readonly TrailLine[]): TrailLine[][] {
  const found: TrailLine[][] = [];
  let stretch: TrailLine[] | null = null;
  for (const line of lines) {
    if (line.what === "state" && line.forced && stretch === null) {
      stretch = [];
      found.push(stretch);
    }
    stretch?.push(line);
    if (line.what === "state" && !line.forced) stretch = null;
  }
  return found;
}

function rollBackOf(
  lines: readonly TrailLine[],
  moves: readonly PostgresMove[],
  images: readonly PostgresImage[],
): ForcedRollBack {
  const of = (what: string) => lines.filter((line) => line.what === what);
  // Whoever names a conflict enters its key right before, so that PostgreSQL is told; nobody has written the row.
  const told = new Set(of("conflict").map(({ n }) => n - 1));
  const end = lines.find(({ what, forced }) => what === "state" && !forced);
  const [from, to] = [lines[0]?.at ?? 0, end?.at ?? Number.POSITIVE_INFINITY];
  const last = moves.filter((move) => move.at <= to).at(-1);
  return {
    from,
    to,
    closed: Math.max(from, last?.at ?? from),
    before: of("image").map(imageOf),
    // Nothing where somebody has been on the way into PostgreSQL since it was left.
    owed: images.filter(({ move }) => move === last?.n),
    written: of("written")
      .filter(({ n }) => !told.has(n))
      .map(imageOf),
    conflicts: of("conflict").map(imageOf),
  };
}

function imageOf({ table, key, row }: TrailLine): Image {
  return { table, key, row };
}
