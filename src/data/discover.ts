export type { DiscoveredColumn, DiscoveredTable, GeneratedColumn, Index, IndexColumn } from "./catalogue.js";
export { discoverPostgres } from "./discover-postgres.js";
export { discoverSqlite } from "./discover-sqlite.js";
export { type EpochChoices, epochChoices, type Times } from "./epoch.js";
export { type AmbiguousNames, type MissingColumn, type Pairing, pairTables, type TablePair } from "./pair.js";
export { pairDatabases, surveyPairing } from "./pair-times.js";
