export { type EpochChoices, epochChoices, type Times } from "../conversion/epoch.js";
export { undecidedTime } from "../conversion/time-column.js";
export type { DiscoveredColumn, DiscoveredTable, GeneratedColumn, Index, IndexColumn } from "./catalogue.js";
export type { MissingColumn, TablePair } from "./couple.js";
export type { Dependents } from "./dependents.js";
export { discoverPostgres } from "./discover-postgres.js";
export { discoverSqlite } from "./discover-sqlite.js";
export { type AmbiguousNames, type Pairing, pairTables } from "./pair.js";
export { assertEpochs, pairDatabases, surveyAgain, surveyPairing } from "./pair-times.js";
