export { default as sql, type Sql } from "sql-template-tag";
export type { ReadCounts } from "./adapter.js";
export type { Environment } from "./config.js";
export { createDatabase, type Database, type DatabaseOptions, type DrainOptions } from "./database.js";
export {
  closeDatabase,
  configureDatabase,
  documentService,
  messageService,
  queryService,
  userProfileService,
} from "./default-database.js";
export type { EngineStatistics, Row, Selected, Side, Value, WriteResult } from "./engines/engine.js";
export { type CodeMeaning, codes, DualDbError, type ErrorCode, type ErrorOptions } from "./errors.js";
export type { Logger } from "./logger.js";
export type { Latency } from "./metrics.js";
export type { Flags, RouteName } from "./route.js";
export type { DocumentFilter, DocumentService, NewCollaborator, NewDocument } from "./services/documents.js";
export type {
  AIMessage,
  AnalyzeMessage,
  HumanMessage,
  MessageAnalysis,
  MessageCountFilter,
  MessageFilter,
  MessageOrigin,
  MessageService,
  MessageToAnalyze,
  ToolExecution,
} from "./services/messages.js";
export type { UserProfileService } from "./services/profiles.js";
export type {
  AnalyzeQuery,
  QueryAnalysis,
  QueryFilter,
  QueryService,
  QueryToAnalyze,
  SavedQuery,
} from "./services/queries.js";
export type {
  AnalysisRecord,
  CollaboratorRecord,
  DocumentRecord,
  MessageRecord,
  QueryRecord,
  SenderType,
  UserProfileChanges,
  UserProfileRecord,
} from "./services/records.js";
export type { JsonInput, NumberInput } from "./services/values.js";
export type { JournalSummary } from "./shadow/journal.js";
export type { Conflict } from "./shadow/recovery.js";
export type { RelayState, RelayStatus } from "./shadow/relay.js";
export type { Conflicts, Refused, SideStatus, Told } from "./shadow/side-status.js";
export type { PostgresState, SqliteState } from "./shadow/state.js";
export type { DrainResult, Status } from "./status.js";
