import { describe, expect, it } from "vitest";
import type { Column, Kind, Table } from "../../src/data/table.js";
import { tables } from "../../src/services/records.js";
import { serviceSides } from "../support/service-sides.js";
import { openServices, origin, type Services } from "../support/services.js";

const user = "123456789012345678";
const [sqlite, ...servers] = serviceSides;

describe.each(servers)("SQLite and $name", (server) => {
  it("give the same answers to the same calls", async () => {
    const both = await Promise.all([sqlite, server].map((side) => openServices(side as typeof server)));
    const [here, there] = await Promise.all(both.map(answers));
    expect(there).toEqual(here);
    expect(JSON.stringify(there)).toBe(JSON.stringify(here));
    await Promise.all(both.map((services) => services.close()));
  });
});

/** What JavaScript has for each kind of column where it is not null. */
const kinds: Partial<Record<Kind, string>> = {
  text: "string",
  json: "string",
  integer: "number",
  bigint: "number",
  real: "number",
  boolean: "number",
};

describe.each(serviceSides)("on $name", (side) => {
  it("every field of every record read back is of its column's type", async () => {
    const services = await openServices(side);
    await answers(services);
    for (const [table, records] of await recordsOf(services)) {
      expect(records).not.toEqual([]);
      for (const record of records)
        expect(typesOf(record)).toEqual(table.columns.map((column) => typeOf(column, record)));
    }
    await services.close();
  });
});

/** What the services give of each table. */
async function recordsOf({ messages, queries, documents, profiles }: Services) {
  const listed = await documents.listDocuments();
  const [first] = listed;
  const collaborators = await documents.getDocumentCollaborators(first?.id ?? "");
  const records: Record<string, readonly object[]> = {
    messages: await messages.queryMessages(),
    queries: await queries.getRecentQueries(),
    documents: [...listed, await documents.getDocument(first?.id ?? "")].filter((record) => record !== null),
    document_collaborators: collaborators,
    user_profiles: await profiles.getAllUserProfiles(),
    user_analysis_history: await profiles.getAnalysisHistory(user),
  };
  return tables.map((table) => [table, records[table.name] ?? []] as const);
}

function typeOf({ name, kind }: Column, record: object): string {
  const isNull = Object.entries(record).some(([column, value]) => column === name && value === null);
  return `${name} ${isNull ? "null" : kinds[kind]}`;
}

/** Everything that one life of a bot was told, with ids and the texts of JSON columns made comparable. */
async function answers(services: Services): Promise<unknown> {
  const ids = new Map<string, string>();
  const told = [
    await messagesOf(services),
    await queriesOf(services),
    await documentsOf(services),
    await profilesOf(services),
  ];
  return JSON.parse(JSON.stringify(told, (name, value) => comparable(ids, name, value)));
}

async function messagesOf({ messages }: Services) {
  const human = await messages.saveHumanMessage({
    ...origin,
    messageContent: "caf\u00e9 \0",
    responseDecision: { b: 1, a: [2] },
  });
  await messages.saveAIMessage({ ...origin, messageContent: "", metadata: "no JSON" });
  await messages.saveToolExecution({ ...origin, toolName: "search", toolArgs: { q: 1 }, toolResult: null });
  const all = await messages.queryMessages({ limit: 10 });
  return [human, await messages.getMessageById(human), all, await messages.getMessageCount(), all.map(typesOf)];
}

async function queriesOf({ queries }: Services) {
  const question = { userId: user, username: "ada", queryText: "?", queryResult: [{ n: 1.5 }], resultCount: 2.5 };
  const id = await queries.saveQuery(question);
  await queries.saveQuery({ ...question, userId: "", error: "", executionTimeMs: 0, queryResult: "" });
  const all = await queries.getRecentQueries();
  return [id, await queries.getQueryById(id), all, await queries.getQueryCount({ userId: user }), all.map(typesOf)];
}

async function documentsOf(services: Services) {
  const { documents } = services;
  const first = await documents.createDocument({ title: "b", createdBy: user });
  const second = await documents.createDocument({ title: "a", createdBy: "B", isPublic: false });
  services.now += 3_000;
  const updated = [
    await documents.updateDocumentContent(first.id, "text"),
    await documents.updateDocumentTitle(second.id, "c"),
    await documents.updateDocumentTitle("nobody", "c"),
  ];
  const added = await documents.addCollaborator({ documentId: second.id, userId: user, role: "" });
  const again = await documents.addCollaborator({ documentId: second.id, userId: user, username: "ada" });
  const listed = await documents.listDocuments();
  const collaborators = await documents.getDocumentCollaborators(second.id);
  const found = [await documents.getDocument(first.id), await documents.getDocument(second.id)];
  const counts = [
    await documents.getDocumentCount(),
    await documents.getDocumentCount({ createdBy: user }),
    await documents.getDocumentCount({ createdBy: "nobody" }),
  ];
  const access = [
    await documents.hasDocumentAccess(second.id, user),
    await documents.hasDocumentAccess(second.id, "x"),
  ];
  const removed = [await documents.removeCollaborator(second.id, "x"), await documents.deleteDocument(second.id)];
  const gone = [await documents.getDocument(second.id), await documents.getDocumentCollaborators(second.id)];
  const records = [first, second, added, again, ...found, ...listed, ...collaborators];
  return [records, updated, counts, access, removed, gone, records.map(typesOf)];
}

async function profilesOf({ profiles }: Services) {
  const made = await profiles.getOrCreateUserProfile(user, "Zo\u00eb");
  await profiles.createUserProfile("lower", "a");
  await profiles.createUserProfile("Upper", "B");
  const updated = await profiles.updateUserProfile(user, {
    feelings_json: { joy: 0.25 },
    archetype_confidence: 1 / 3,
    trust_level: "7",
    zodiac_sign: "",
    last_analyzed_at: 1,
  });
  const counted = await profiles.incrementMessageCount(user);
  const saved = await profiles.saveAnalysisHistory(user, { joy: 1 }, [], 3.5);
  await profiles.saveAnalysisHistory(user, null, "no JSON", null, "");
  const lists = [await profiles.getAllUserProfiles(), await profiles.getUsersNeedingAnalysis()];
  const found = [await profiles.getUserProfile(user), await profiles.getUserProfile("nobody")];
  const history = await profiles.getAnalysisHistory(user);
  const records = [made, ...found, ...history, ...lists.flat()];
  return [updated, counted, saved, lists.map((list) => list.length), records, records.map(typesOf)];
}

function typesOf(record: object | null): string[] {
  return Object.entries(record ?? {}).map(([name, value]) => `${name} ${value === null ? "null" : typeof value}`);
}

const jsonColumns = new Set(
  tables.flatMap(({ columns }: Table) => columns.filter(({ kind }) => kind === "json")).map(({ name }) => name),
);
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7/;

/** Ids by the order in which they first appear, JSON by what it parses to. */
function comparable(ids: Map<string, string>, name: string, value: unknown): unknown {
  if (typeof value !== "string") return value;
  if (uuid.test(value)) return ids.get(value) ?? ids.set(value, `id ${ids.size}`).get(value);
  return jsonColumns.has(name) ? sorted(value) : value;
}

function sorted(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return { value };
    return { value: Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)) };
  } catch {
    return text;
  }
}
