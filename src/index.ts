export { default as sql } from "sql-template-tag";
export { createDatabase, type Database, type DatabaseOptions } from "./database.js";
export {
  closeDatabase,
  configureDatabase,
  documentService,
  messageService,
  queryService,
  userProfileService,
} from "./default-database.js";
export type { Row, Side, Value, WriteResult } from "./engines/engine.js";
export { type CodeMeaning, codes, DualDbError, type ErrorCode } from "./errors.js";
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
export type { DrainResult, Refused, SideStatus, Status } from "./status.js";
