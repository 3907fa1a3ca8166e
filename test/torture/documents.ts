import type { Actor } from "./actor.js";
import { set } from "./caller.js";
import type { CellValue } from "./log.js";
import { certain, existence, type ModelRow } from "./model.js";
import { prefixOf, shared } from "./names.js";
import { both, statement, type WriteStatement } from "./statements.js";

/** What a lane does with documents, and with the places of users in them. */
export class Documents {
  readonly #actor: Actor;

  constructor(actor: Actor) {
    this.#actor = actor;
  }

  async create(): Promise<void> {
    const { database } = this.#actor.parts;
    const { user } = this.#actor;
    const name = this.#actor.name();
    const document = { title: name, content: `${name} 0`, createdBy: user, createdByUsername: name };
    const effects = set("documents", name, { $: true, title: name, content: document.content });
    const work = () => database.documentService.createDocument(document);
    await this.#actor.service("createDocument", effects, work, ({ id }) => ({
      effects: [
        ...set("documents", name, { id }),
        ...set("document_collaborators", `${id}/${user}`, { $: true, role: "owner" }),
      ],
    }));
  }

  async update(): Promise<void> {
    const { database, random } = this.#actor.parts;
    const row = this.#actor.mine("documents");
    const id = certain(row, "id");
    if (row === undefined || typeof id !== "string") return;
    const value = this.#actor.name();
    const { documentService } = database;
    const [name, column] = random.pick([
      ["updateDocumentTitle", "title"],
      ["updateDocumentContent", "content"],
    ] as const);
    const effects = set("documents", row.row, { [column]: value });
    const expected = this.#actor.expectFound(`${name} ${row.row}`, row);
    await this.#actor.service(name, effects, () => documentService[name](id, value), expected);
  }

  /** Two rows in one transaction. */
  async updateTwo(): Promise<void> {
    const { random } = this.#actor.parts;
    const rows = [this.#actor.mine("documents"), this.#actor.mine("documents")].filter((row) => row !== undefined);
    const [first, second] = rows;
    if (first === undefined || second === undefined || first === second) return;
    const value = this.#actor.name();
    const update = (row: ModelRow) =>
      both("UPDATE documents SET content = ? WHERE id = ?", value, String(certain(row, "id")));
    const statements = [update(first), update(second), ...(random.chance(0.5) ? [pause] : [])];
    const effectsOf = (row: ModelRow) => set("documents", row.row, { content: value });
    await this.#actor.write("updateTwoDocuments", rows.flatMap(effectsOf), statements, (results, began) => {
      const written = rows.filter((_, index) => results[index]?.changes === 1);
      for (const row of rows)
        this.#actor.expectFound(`updateTwoDocuments ${row.row}`, row)(written.includes(row), began);
      return { nothing: true, effects: written.flatMap(effectsOf) };
    });
  }

  async delete(): Promise<void> {
    const { database, model } = this.#actor.parts;
    const row = this.#actor.mine("documents");
    const id = certain(row, "id");
    if (row === undefined || typeof id !== "string") return;
    const children = [...model.rows("document_collaborators")].filter((child) => child.row.startsWith(`${id}/`));
    const effects = [row, ...children].flatMap((gone) => set(gone.table, gone.row, { $: false }));
    const work = () => database.documentService.deleteDocument(id);
    await this.#actor.service(
      "deleteDocument",
      effects,
      work,
      this.#actor.expectFound(`deleteDocument ${row.row}`, row),
    );
  }

  async addCollaborator(): Promise<void> {
    const { database } = this.#actor.parts;
    const place = this.#place();
    if (place === null) return;
    const role = this.#actor.name();
    const { documentId, userId, row } = place;
    const effects = set("document_collaborators", row, { $: true, role });
    const work = () => database.documentService.addCollaborator({ documentId, userId, role });
    await this.#actor.service("addCollaborator", effects, work, ({ id }) => ({
      effects: set("document_collaborators", row, { id }),
    }));
  }

  async removeCollaborator(): Promise<void> {
    const { database, model } = this.#actor.parts;
    const place = this.#place();
    if (place === null) return;
    const { documentId, userId, row } = place;
    const existed = existence(model.get("document_collaborators", row));
    const named = { table: "document_collaborators", row } as const;
    const expected = this.#actor.expectFound(`removeCollaborator ${row}`, named, existed);
    const effects = set("document_collaborators", row, { $: false });
    const work = () => database.documentService.removeCollaborator(documentId, userId);
    await this.#actor.service("removeCollaborator", effects, work, expected);
  }

  async check(): Promise<void> {
    const { documentService } = this.#actor.parts.database;
    const row = this.#actor.mine("documents");
    const id = certain(row, "id");
    if (row === undefined || typeof id !== "string") return;
    if (this.#actor.parts.random.chance(0.3) && /^r\d+s/.test(row.row)) return this.#checkAccess(row, id);
    const found = await this.#actor.read("getDocument", () => documentService.getDocument(id));
    if (found !== null) this.#compare(row, found.value, found.began);
  }

  /** The documents that this lane has made in this round. */
  async checkList(): Promise<void> {
    const { model, owner, random, database, caller } = this.#actor.parts;
    const prefix = prefixOf(owner, 0).slice(0, -1);
    const rows = [...model.rows("documents")].filter(({ row }) => row.startsWith(prefix));
    const there = rows.filter((row) => existence(row) === true);
    const maybe = rows.filter((row) => existence(row) === null);
    const { documentService } = database;
    const filter = { createdBy: this.#actor.user };
    if (random.chance(0.5)) {
      const found = await this.#actor.read("getDocumentCount", () => documentService.getDocumentCount(filter));
      if (found === null) return;
      const wrong = Math.max(there.length - found.value, found.value - there.length - maybe.length);
      if (wrong > 0) caller.stale(`${found.value} documents of ${filter.createdBy}`, found.began, rows, wrong);
      return;
    }
    const found = await this.#actor.read("listDocuments", () =>
      documentService.listDocuments({ ...filter, limit: 1_000 }),
    );
    if (found === null) return;
    const byName = new Map(found.value.map((document) => [document.created_by_username, document]));
    for (const row of there) this.#compare(row, byName.get(row.row) ?? null, found.began);
  }

  async checkCollaborators(): Promise<void> {
    const { database, model } = this.#actor.parts;
    const place = this.#place();
    if (place === null) return;
    const row = model.get("document_collaborators", place.row);
    const exists = existence(row);
    const { documentService } = database;
    const list = await this.#actor.read("getDocumentCollaborators", () =>
      documentService.getDocumentCollaborators(place.documentId),
    );
    if (list === null || row === undefined || exists === null) return;
    const found = list.value.find(({ user_id }) => user_id === place.userId);
    const role = certain(row, "role");
    if (exists !== (found !== undefined) || (found && role !== undefined && found.role !== role))
      this.#actor.stale(`collaborator ${place.row}`, list.began, row);
  }

  /** Every document that a lane has made is public. */
  async #checkAccess(row: ModelRow, id: string): Promise<void> {
    const { documentService } = this.#actor.parts.database;
    const found = await this.#actor.read("hasDocumentAccess", () =>
      documentService.hasDocumentAccess(id, this.#actor.user),
    );
    if (found?.value === false) this.#actor.stale(`document ${row.row} by access`, found.began, row);
  }

  #compare(row: ModelRow, found: { readonly title: CellValue; readonly content: CellValue } | null, began: number) {
    for (const column of ["title", "content"] as const) {
      const expected = certain(row, column);
      if (expected !== undefined && found?.[column] !== expected)
        this.#actor.stale(`document ${row.row} ${column}`, began, row);
    }
  }

  /** A document and a user whose place in it only this lane changes. */
  #place(): { readonly documentId: string; readonly userId: string; readonly row: string } | null {
    const { model, owner, random } = this.#actor.parts;
    const isShared = random.chance(0.5);
    const document = isShared ? model.get("documents", random.pick(shared.documents)) : this.#actor.mine("documents");
    const id = certain(document, "id");
    if (typeof id !== "string") return null;
    const number = random.whole(0, 2);
    const userId = isShared ? `5${owner.slot}${owner.lane}00000000000000${number}` : `70000000000000000${number}`;
    return { documentId: id, userId, row: `${id}/${userId}` };
  }
}

/** A transaction that has written and does not commit yet. */
const pause: WriteStatement = statement({
  sql: "UPDATE messages SET id = id WHERE 1 = 0",
  text: "SELECT pg_sleep(0.04)",
  values: [],
});
