import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serviceSides } from "../support/service-sides.js";
import { openServices, type Services } from "../support/services.js";

describe.each(serviceSides)("documents on $name", (side) => {
  let services: Services;
  beforeAll(async () => {
    services = await openServices(side);
  });
  afterAll(() => services.close());

  const create = (changes: object = {}) =>
    services.documents.createDocument({ title: "Plan", createdBy: "owner", createdByUsername: "ada", ...changes });

  it("creates a document with its owner as first collaborator, in one transaction", async () => {
    const before = services.adapter.statements.length;
    const document = await create({ content: null });
    expect(services.adapter.statements.length).toBe(before + 2);
    expect(document).toMatchObject({ title: "Plan", content: "", created_by: "owner", is_public: 1, metadata: null });
    expect(document).toMatchObject({ created_at: 1_700_000_000, updated_at: 1_700_000_000 });
    expect(await services.documents.getDocument(document.id)).toEqual(document);
    expect(await services.documents.getDocumentCollaborators(document.id)).toEqual([
      {
        id: expect.any(String),
        document_id: document.id,
        user_id: "owner",
        username: "ada",
        role: "owner",
        joined_at: 1_700_000_000,
      },
    ]);
  });

  it("updates and deletes, and says whether there was one", async () => {
    const { id } = await create();
    services.now += 5_000;
    expect(await services.documents.updateDocumentContent(id, "new")).toBe(true);
    expect(await services.documents.updateDocumentTitle(id, "")).toBe(true);
    const seconds = services.now / 1_000;
    expect(await services.documents.getDocument(id)).toMatchObject({ content: "new", title: "", updated_at: seconds });
    expect(await services.documents.deleteDocument(id)).toBe(true);
    expect(await services.documents.getDocument(id)).toBeNull();
    expect(await services.documents.getDocumentCollaborators(id)).toEqual([]);
    expect(await services.documents.deleteDocument(id)).toBe(false);
    expect(await services.documents.updateDocumentContent(id, "")).toBe(false);
    expect(await services.documents.updateDocumentTitle(id, "")).toBe(false);
  });

  it("lists the last updated first, and counts", async () => {
    const [first, second, third] = [await create({ createdBy: "x" }), await create({ createdBy: "x" }), await create()];
    services.now += 1_000;
    await services.documents.updateDocumentTitle(first.id, "again");
    const find = async (filter: object) => (await services.documents.listDocuments(filter)).map(({ id }) => id);
    expect((await find({})).slice(0, 3)).toEqual([first.id, third.id, second.id]);
    expect(await find({ createdBy: "x" })).toEqual([first.id, second.id]);
    expect(await find({ createdBy: "x", limit: 1, offset: 1 })).toEqual([second.id]);
    expect(await services.documents.getDocumentCount({ createdBy: "x" })).toBe(2);
    expect(await services.documents.getDocumentCount()).toBeGreaterThan(2);
  });

  it("lists old rows without a time as the oldest", async () => {
    const put = async (text: string) => void (await services.adapter.write([{ sql: text, text, values: [] }]));
    await put(`INSERT INTO documents (id, title, created_by, updated_at)
      VALUES ('a', '', 'old', NULL), ('b', '', 'old', 2), ('c', '', 'old', NULL), ('d', '', 'old', 3)`);
    await put(`INSERT INTO document_collaborators (id, document_id, user_id, joined_at)
      VALUES ('a', 'd', '1', 3), ('b', 'd', '2', NULL), ('c', 'd', '3', 2), ('d', 'd', '4', NULL)`);
    const ids = (records: readonly { id: string }[]) => records.map(({ id }) => id);
    expect(ids(await services.documents.listDocuments({ createdBy: "old" }))).toEqual(["d", "b", "c", "a"]);
    expect(ids(await services.documents.listDocuments({ createdBy: "old", limit: 2, offset: 1 }))).toEqual(["b", "c"]);
    expect(ids(await services.documents.getDocumentCollaborators("d"))).toEqual(["b", "d", "c", "a"]);
  });

  it("adds a collaborator once, keeping id and time of joining", async () => {
    const { id: documentId } = await create();
    services.now += 1_000;
    const added = await services.documents.addCollaborator({ documentId, userId: "bob", username: "Bob" });
    expect(added).toMatchObject({ document_id: documentId, role: "editor", joined_at: services.now / 1_000 });
    services.now += 1_000;
    const again = await services.documents.addCollaborator({ documentId, userId: "bob", role: "viewer" });
    expect(again).toEqual({ ...added, role: "viewer" });
    const last = await services.documents.addCollaborator({ documentId, userId: "anna" });
    const all = await services.documents.getDocumentCollaborators(documentId);
    expect(all.map(({ user_id }) => user_id)).toEqual(["owner", "bob", "anna"]);
    expect(all.slice(1)).toEqual([again, last]);
    expect(await services.documents.removeCollaborator(documentId, "bob")).toBe(true);
    expect(await services.documents.removeCollaborator(documentId, "bob")).toBe(false);
  });

  it("names the missing document where there is none", async () => {
    const refused = services.documents.addCollaborator({ documentId: "nothing", userId: "bob" });
    await expect(refused).rejects.toMatchObject({
      code: "CONSTRAINT_VIOLATED",
      column: "document_id",
      message: expect.stringContaining("no document with that id"),
    });
  });

  it("gives access to everybody, or to the owner and the collaborators", async () => {
    const open = await create();
    const closed = await create({ isPublic: false });
    expect(closed.is_public).toBe(0);
    await services.documents.addCollaborator({ documentId: closed.id, userId: "bob" });
    await services.documents.removeCollaborator(closed.id, "owner");
    const access = services.documents.hasDocumentAccess;
    expect(await access(open.id, "stranger")).toBe(true);
    expect(await access(closed.id, "stranger")).toBe(false);
    expect(await access(closed.id, "owner")).toBe(true);
    expect(await access(closed.id, "bob")).toBe(true);
    expect(await access("nothing", "owner")).toBe(false);
  });

  it.each([
    ["title", { title: null }],
    ["createdBy", { createdBy: 5 }],
    ["isPublic", { isPublic: "yes" }],
  ])("refuses a document without a proper %s", async (field, changes) => {
    await expect(create(changes)).rejects.toMatchObject({ code: "VALIDATION_FAILED", details: { field } });
  });
});
