import type { DocumentService } from "./documents.js";
import type { MessageService } from "./messages.js";
import type { UserProfileService } from "./profiles.js";
import type { QueryService } from "./queries.js";

/** The four services of one database. */
export interface Services {
  readonly messageService: MessageService;
  readonly queryService: QueryService;
  readonly documentService: DocumentService;
  readonly userProfileService: UserProfileService;
}

/** Services whose functions first wait for the real ones, so that they can be handed out before a database is open. */
export function deferredServices(real: () => Promise<Services>): Services {
  return {
    messageService: deferred(functions.messageService, async () => (await real()).messageService),
    queryService: deferred(functions.queryService, async () => (await real()).queryService),
    documentService: deferred(functions.documentService, async () => (await real()).documentService),
    userProfileService: deferred(functions.userProfileService, async () => (await real()).userProfileService),
  };
}

/** `keyof` would not be there at run time; the types see to it that none is missing. */
const functions: { readonly [Name in keyof Services]: Record<keyof Services[Name], true> } = {
  messageService: {
    saveHumanMessage: true,
    saveAIMessage: true,
    saveToolExecution: true,
    queryMessages: true,
    getMessageById: true,
    getMessageCount: true,
  },
  queryService: { saveQuery: true, getRecentQueries: true, getQueryById: true, getQueryCount: true },
  documentService: {
    createDocument: true,
    getDocument: true,
    updateDocumentContent: true,
    updateDocumentTitle: true,
    deleteDocument: true,
    listDocuments: true,
    getDocumentCount: true,
    addCollaborator: true,
    removeCollaborator: true,
    getDocumentCollaborators: true,
    hasDocumentAccess: true,
  },
  userProfileService: {
    getUserProfile: true,
    createUserProfile: true,
    getOrCreateUserProfile: true,
    updateUserProfile: true,
    incrementMessageCount: true,
    saveAnalysisHistory: true,
    getAnalysisHistory: true,
    getUsersNeedingAnalysis: true,
    getAllUserProfiles: true,
  },
};

type Call = (...input: readonly unknown[]) => Promise<unknown>;

function deferred<Service extends object>(names: Record<keyof Service, true>, real: () => Promise<Service>): Service {
  const call = (name: string): Call => {
    return async (...input) => ((await real()) as Record<string, Call>)[name]?.(...input);
  };
  return Object.fromEntries(Object.keys(names).map((name) => [name, call(name)])) as Service;
}
