/**
 * Two tables that the package has never heard of, as an application has them beside the six: a key of two columns, a further unique
 * column that rows can hand to each other, and children that hang on the key. PostgreSQL is stricter about the score.
 */
export const applicationTables = {
  sqlite: `
CREATE TABLE teams (region TEXT NOT NULL, number INTEGER NOT NULL, badge TEXT NOT NULL UNIQUE, score INTEGER NOT NULL,
  PRIMARY KEY (region, number));
CREATE TABLE members (id INTEGER PRIMARY KEY, region TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,
  FOREIGN KEY (region, number) REFERENCES teams (region, number) ON DELETE CASCADE);
CREATE INDEX idx_members_team ON members (region, number)`,
  postgres: `
CREATE TABLE teams (region TEXT COLLATE "C" NOT NULL, number INTEGER NOT NULL, badge TEXT COLLATE "C" NOT NULL UNIQUE,
  score INTEGER NOT NULL CHECK (score >= 0), PRIMARY KEY (region, number));
CREATE TABLE members (id BIGINT PRIMARY KEY, region TEXT COLLATE "C" NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,
  FOREIGN KEY (region, number) REFERENCES teams (region, number) ON DELETE CASCADE);
CREATE INDEX idx_members_team ON members (region, number)`,
} as const;

/** How the model names a team. */
export function teamName(region: unknown, number: unknown): string {
  return `${region}/${number}`;
}

/** Region and number of the team with that name. */
export function teamKey(team: string): { readonly region: string; readonly number: number } {
  const slash = team.lastIndexOf("/");
  return { region: team.slice(0, slash), number: Number(team.slice(slash + 1)) };
}

/** A team's key as the journal spells it. */
export function journalKey(team: string): string {
  const { region, number } = teamKey(team);
  return `${region},${number}`;
}
