import {
  closeDatabase,
  defaultDatabase,
  documentService,
  messageService,
  queryService,
  userProfileService,
} from "./default-database.js";

export { closeDatabase };

/** Opens the default database. */
export async function initializeDatabase(): Promise<void> {
  await defaultDatabase().open();
}

/** The same: opening brings the schema of the SQLite side up to date. PostgreSQL's is brought there by `dualdb migrate`. */
export const initializeSchema = initializeDatabase;

export const { saveHumanMessage, saveAIMessage, saveToolExecution, queryMessages, getMessageById, getMessageCount } =
  messageService;

export const { saveQuery, getRecentQueries, getQueryById, getQueryCount } = queryService;

export const {
  createDocument,
  getDocument,
  updateDocumentContent,
  updateDocumentTitle,
  deleteDocument,
  listDocuments,
  getDocumentCount,
  addCollaborator,
  removeCollaborator,
  getDocumentCollaborators,
  hasDocumentAccess,
} = documentService;

export const {
  getUserProfile,
  createUserProfile,
  getOrCreateUserProfile,
  updateUserProfile,
  incrementMessageCount,
  saveAnalysisHistory,
  getAnalysisHistory,
  getUsersNeedingAnalysis,
  getAllUserProfiles,
} = userProfileService;
