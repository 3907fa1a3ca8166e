import sql, { raw } from "sql-template-tag";
import { z } from "zod";
import { columnOf } from "../data/table.js";
import { DualDbError, hasCode } from "../errors.js";
import { checked, checkedText, flagOrTrue, limit, offset, optionalText, text } from "./inputs.js";
import { type ServiceParts, type Source, sourceOf } from "./parts.js";
import { type CollaboratorRecord, collaborators, type DocumentRecord, documents } from "./records.js";
import { changed, readById, readCount, readRecords } from "./rows.js";
import {
  condition,
  countFrom,
  prepared,
  preparedInsert,
  preparedLookup,
  preparedUpsert,
  recordOf,
  selectFrom,
  where,
} from "./statements.js";
import type { NumberInput } from "./values.js";

export interface NewDocument {
  readonly title: string;
  /** Empty where absent. */
  readonly content?: string | null | undefined;
  readonly createdBy: string;
  readonly createdByUsername?: string | null | undefined;
  /** true where absent. */
  readonly isPublic?: boolean | 0 | 1 | null | undefined;
}

export interface DocumentFilter {
  readonly createdBy?: string | null | undefined;
  /** 1 to 1,000; 0 or absent is 50. */
  readonly limit?: NumberInput;
  readonly offset?: NumberInput;
}

export interface NewCollaborator {
  readonly documentId: string;
  readonly userId: string;
  readonly username?: string | null | undefined;
  /** `editor` where absent. */
  readonly role?: string | null | undefined;
}

/** Documents and who works on them. Every wrong input is VALIDATION_FAILED, before any SQL. */
export interface DocumentService {
  /** The new document; its owner is its first collaborator (role `owner`), in the same transaction. */
  createDocument(document: NewDocument): Promise<DocumentRecord>;
  getDocument(id: string): Promise<DocumentRecord | null>;
  /** Whether there was such a document. */
  updateDocumentContent(id: string, content: string): Promise<boolean>;
  /** Whether there was such a document. */
  updateDocumentTitle(id: string, title: string): Promise<boolean>;
  /** With its collaborators. Whether there was such a document. */
  deleteDocument(id: string): Promise<boolean>;
  /** Last updated first. */
  listDocuments(filter?: DocumentFilter): Promise<DocumentRecord[]>;
  getDocumentCount(filter?: Pick<DocumentFilter, "createdBy">): Promise<number>;
  /**
   * Adds a collaborator, or gives the one that is there the new role and, where given, username; `id` and `joined_at` stay.
   * CONSTRAINT_VIOLATED where there is no such document.
   */
  addCollaborator(collaborator: NewCollaborator): Promise<CollaboratorRecord>;
  /** Whether the user was a collaborator. */
  removeCollaborator(documentId: string, userId: string): Promise<boolean>;
  /** In order of joining. */
  getDocumentCollaborators(documentId: string): Promise<CollaboratorRecord[]>;
  /** Whether the document is there and is public, the user's own, or one that the user works on. */
  hasDocumentAccess(documentId: string, userId: string): Promise<boolean>;
}

export function createDocumentService(parts: ServiceParts): DocumentService {
  const source = sourceOf(parts);
  return {
    createDocument: (document) => createDocument(source, document),
    getDocument: (id) => getDocument(source, id),
    updateDocumentContent: (id, content) => updateContent(source, id, content),
    updateDocumentTitle: (id, title) => updateTitle(source, id, title),
    deleteDocument: (id) => deleteDocument(source, id),
    listDocuments: (filter) => listDocuments(source, filter),
    getDocumentCount: (filter) => getDocumentCount(source, filter),
    addCollaborator: (collaborator) => addCollaborator(source, collaborator),
    removeCollaborator: (documentId, userId) => removeCollaborator(source, documentId, userId),
    getDocumentCollaborators: (documentId) => getDocumentCollaborators(source, documentId),
    hasDocumentAccess: (documentId, userId) => hasDocumentAccess(source, documentId, userId),
  };
}

const checkDocument = checked(
  "createDocument",
  documents,
  z.object({
    title: text,
    content: optionalText,
    createdBy: text,
    createdByUsername: optionalText,
    isPublic: flagOrTrue,
  }),
);
const checkPage = checked("listDocuments", documents, z.object({ createdBy: optionalText, limit: limit(50), offset }));
const checkCount = checked("getDocumentCount", documents, z.object({ createdBy: optionalText }));
const checkCollaborator = checked(
  "addCollaborator",
  collaborators,
  z.object({ documentId: text, userId: text, username: optionalText, role: optionalText }),
);

const insertDocument = preparedInsert(
  documents,
  documents.columns.map(({ name }) => name as keyof DocumentRecord),
);
const collaboratorColumns = collaborators.columns.map(({ name }) => name as keyof CollaboratorRecord);
const insertCollaborator = preparedInsert(collaborators, collaboratorColumns);
const upsertCollaborator = preparedUpsert(
  collaborators,
  collaboratorColumns,
  sql`ON CONFLICT (document_id, user_id) DO UPDATE SET role = excluded.role,
    username = COALESCE(excluded.username, document_collaborators.username)`,
);
const selectDocuments = selectFrom(documents);
const selectCount = countFrom(documents);
const lastUpdatedFirst = raw(" ORDER BY updated_at DESC NULLS LAST, id DESC");
const documentById = preparedLookup(documents, "id");
const setContent = prepared(sql`UPDATE documents SET content = ${null}, updated_at = ${null} WHERE id = ${null}`);
const setTitle = prepared(sql`UPDATE documents SET title = ${null}, updated_at = ${null} WHERE id = ${null}`);
const deleteById = prepared(sql`DELETE FROM documents WHERE id = ${null}`);
const deleteCollaborator = prepared(
  sql`DELETE FROM document_collaborators WHERE document_id = ${null} AND user_id = ${null}`,
);
const inOrderOfJoining = prepared(
  sql`${selectFrom(collaborators)} WHERE document_id = ${null} ORDER BY joined_at NULLS FIRST, id`,
);
const accessColumns = [columnOf(documents, "id")];
const accessibleDocument = prepared(
  sql`SELECT id FROM documents WHERE id = ${null} AND (is_public = ${null} OR created_by = ${null} OR EXISTS (
    SELECT 1 FROM document_collaborators WHERE document_id = documents.id AND user_id = ${null}))`,
);

async function createDocument(source: Source, input: NewDocument): Promise<DocumentRecord> {
  const { title, content, createdBy, createdByUsername, isPublic } = checkDocument(input);
  const id = source.newId();
  const now = source.seconds();
  const owner = { created_by: createdBy, created_by_username: createdByUsername };
  const times = { created_at: now, updated_at: now };
  const record = { id, title, content: content ?? "", ...owner, ...times, is_public: isPublic, metadata: null };
  const first = { id: source.newId(), document_id: id, user_id: createdBy, username: createdByUsername };
  await source.adapter.write([insertDocument(record), insertCollaborator({ ...first, role: "owner", joined_at: now })]);
  return record;
}

async function getDocument({ adapter }: Source, input: string): Promise<DocumentRecord | null> {
  const id = checkedText("getDocument", "id", input, documents);
  return readById(adapter, documents, documentById(id), id);
}

async function updateContent({ adapter, seconds }: Source, documentId: string, input: string): Promise<boolean> {
  const id = checkedText("updateDocumentContent", "id", documentId, documents);
  const content = checkedText("updateDocumentContent", "content", input, documents);
  return changed(adapter, setContent([content, seconds(), id]));
}

async function updateTitle({ adapter, seconds }: Source, documentId: string, input: string): Promise<boolean> {
  const id = checkedText("updateDocumentTitle", "id", documentId, documents);
  const title = checkedText("updateDocumentTitle", "title", input, documents);
  return changed(adapter, setTitle([title, seconds(), id]));
}

async function deleteDocument({ adapter }: Source, input: string): Promise<boolean> {
  return changed(adapter, deleteById([checkedText("deleteDocument", "id", input, documents)]));
}

async function listDocuments({ adapter }: Source, input: DocumentFilter = {}): Promise<DocumentRecord[]> {
  const page = checkPage(input);
  const filter = where(condition("created_by", "=", page.createdBy));
  const statement = sql`${selectDocuments}${filter}${lastUpdatedFirst} LIMIT ${page.limit} OFFSET ${page.offset}`;
  return readRecords(adapter, documents, statement);
}

async function getDocumentCount({ adapter }: Source, input: Pick<DocumentFilter, "createdBy"> = {}): Promise<number> {
  const { createdBy } = checkCount(input);
  return readCount(adapter, documents, sql`${selectCount}${where(condition("created_by", "=", createdBy))}`);
}

async function addCollaborator(source: Source, input: NewCollaborator): Promise<CollaboratorRecord> {
  const { documentId, userId, username, role } = checkCollaborator(input);
  const who = { document_id: documentId, user_id: userId, username, role: role ?? "editor" };
  const upsert = upsertCollaborator({ id: source.newId(), ...who, joined_at: source.seconds() });
  const [result] = await source.adapter.write([upsert]).catch(namingDocument);
  return recordOf(collaborators, result?.rows[0]);
}

function namingDocument(error: unknown): never {
  if (!hasCode(error, "CONSTRAINT_VIOLATED")) throw error;
  const message = "addCollaborator: there is no document with that id; create it first";
  throw new DualDbError("CONSTRAINT_VIOLATED", message, {
    cause: error,
    table: collaborators.name,
    column: "document_id",
  });
}

async function removeCollaborator({ adapter }: Source, document: string, user: string): Promise<boolean> {
  const documentId = checkedText("removeCollaborator", "documentId", document, collaborators);
  const userId = checkedText("removeCollaborator", "userId", user, collaborators);
  return changed(adapter, deleteCollaborator([documentId, userId]));
}

async function getDocumentCollaborators({ adapter }: Source, input: string): Promise<CollaboratorRecord[]> {
  const documentId = checkedText("getDocumentCollaborators", "documentId", input, collaborators);
  return readRecords(adapter, collaborators, inOrderOfJoining([documentId]));
}

async function hasDocumentAccess({ adapter }: Source, document: string, user: string): Promise<boolean> {
  const documentId = checkedText("hasDocumentAccess", "documentId", document, collaborators);
  const userId = checkedText("hasDocumentAccess", "userId", user, collaborators);
  const statement = accessibleDocument([documentId, 1, userId, userId]);
  const rows = await adapter.read({ statement, tables: [documents.name, collaborators.name], columns: accessColumns });
  return rows.length > 0;
}
