import { setTimeout as sleep } from "node:timers/promises";
import type { DualDatabase } from "../../src/database.js";
import { type Caller, set } from "./caller.js";
import type { DirectAccess } from "./console.js";
import type { Effect, TableName } from "./log.js";
import { certain, existence, type Model, type ModelRow } from "./model.js";
import { isMine, type Owner, privateUser, shared, sharedUser, userOf } from "./names.js";
import type { Peers } from "./peers.js";
import type { Random } from "./random.js";
import { both, statement, type WriteStatement } from "./statements.js";
import { Teams } from "./teams.js";

export interface LaneParts {
  readonly database: DualDatabase;
  readonly caller: Caller;
  readonly model: Model;
  readonly random: Random;
  readonly owner: Owner;
  readonly peers: Peers;
  readonly direct: DirectAccess;
  /** Begins every name that this lane gives to a row. */
  readonly prefix: string;
  readonly route: string;
}

/** A user of the bot: one call after the other, on rows of its own and on rows that all share. */
export class Lane {
  readonly #parts: LaneParts;
  readonly #user: string;
  readonly #teams: Teams;
  #names = 0;

  constructor(parts: LaneParts) {
    this.#parts = parts;
    this.#user = userOf(parts.owner);
    this.#teams = new Teams(parts, () => this.#name());
  }

  async run(isOver: () => boolean): Promise<void> {
    const { random, caller } = this.#parts;
    while (!isOver()) {
      const before = caller.answered.writes;
      await random.weighted(this.#doings).run();
      await sleep(caller.answered.writes > before ? random.whole(0, 6) : random.whole(2, 20));
    }
  }

  /** Does nothing but read what others have written, so that a process that has been left behind is asked at once. */
  async watch(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await this.#checkPeers();
      await sleep(this.#parts.random.whole(3, 12));
    }
  }

  readonly #doings: readonly { readonly weight: number; readonly run: () => Promise<unknown> }[] = [
    { weight: 6, run: () => this.#saveMessage() },
    { weight: 1, run: () => this.#deleteMessage() },
    { weight: 1, run: () => this.#saveQuery() },
    { weight: 2, run: () => this.#createDocument() },
    { weight: 3, run: () => this.#updateDocument() },
    { weight: 2, run: () => this.#updateTwoDocuments() },
    { weight: 1, run: () => this.#deleteDocument() },
    { weight: 3, run: () => this.#addCollaborator() },
    { weight: 2, run: () => this.#removeCollaborator() },
    { weight: 2, run: () => this.#getOrCreateProfile() },
    { weight: 2, run: () => this.#updateSharedProfile() },
    { weight: 5, run: () => this.#incrementSharedProfile() },
    { weight: 2, run: () => this.#saveAnalysis() },
    { weight: 1, run: () => this.#replaceProfile() },
    { weight: 1, run: () => this.#replaceAndDeleteProfile() },
    { weight: 1, run: () => this.#rekeyProfile() },
    { weight: 1, run: () => this.#swapProfiles() },
    { weight: 1, run: () => this.#deleteProfile() },
    { weight: 2, run: () => this.#teams.found() },
    { weight: 2, run: () => this.#teams.join() },
    { weight: 3, run: () => this.#teams.swap() },
    { weight: 1, run: () => this.#teams.inherit() },
    { weight: 1, run: () => this.#teams.disband() },
    { weight: 1, run: () => this.#writeDirectly() },
    { weight: 2, run: () => this.#checkOwnMessage() },
    { weight: 2, run: () => this.#checkOwnMessages() },
    { weight: 2, run: () => this.#checkDocument() },
    { weight: 2, run: () => this.#checkCollaborators() },
    { weight: 1, run: () => this.#checkProfile() },
    { weight: 1, run: () => this.#teams.check() },
    { weight: 3, run: () => this.#checkPeers() },
  ];

  #name(): string {
    return `${this.#parts.prefix}.${this.#names++}`;
  }

  async #saveMessage(): Promise<void> {
    const { caller, database, random } = this.#parts;
    const name = this.#name();
    const kind = random.pick(["human", "human", "ai", "tool"] as const);
    const content = kind === "tool" ? `Tool: ${name}` : `${name} ${"lorem ".repeat(random.whole(0, 20))}`.trim();
    const from = { userId: this.#user, username: "torture", channelId: "1", channelName: "general" };
    const effects = set("messages", name, { $: true, message_content: content, user_id: this.#user });
    const save = () => {
      const service = database.messageService;
      if (kind === "human")
        return service.saveHumanMessage({ ...from, messageContent: content, responseDecision: { answer: true, name } });
      if (kind === "ai") return service.saveAIMessage({ ...from, messageContent: content, metadata: [1, name] });
      return service.saveToolExecution({ ...from, toolName: name, toolArgs: { name }, toolResult: "[1]" });
    };
    const saved = await caller.call("saveMessage", effects, save, (id) => ({ effects: set("messages", name, { id }) }));
    if (saved && random.chance(0.3)) await this.#checkMessage(name);
  }

  async #deleteMessage(): Promise<void> {
    const row = this.#mine("messages");
    const id = certain(row, "id");
    if (row === undefined || typeof id !== "string") return;
    await this.#writeOne(
      "deleteMessage",
      set("messages", row.row, { $: false }),
      "DELETE FROM messages WHERE id = ?",
      id,
    );
  }

  async #saveQuery(): Promise<void> {
    const { caller, database } = this.#parts;
    const name = this.#name();
    const effects = set("queries", name, { $: true, query_text: name, user_id: this.#user });
    const query = { userId: this.#user, username: "torture", queryText: name, queryResult: [{ name }], resultCount: 1 };
    await caller.call(
      "saveQuery",
      effects,
      () => database.queryService.saveQuery(query),
      (id) => ({ effects: set("queries", name, { id }) }),
    );
  }

  async #createDocument(): Promise<void> {
    const { caller, database } = this.#parts;
    const name = this.#name();
    const document = { title: name, content: `${name} 0`, createdBy: this.#user, createdByUsername: name };
    const effects = set("documents", name, { $: true, title: name, content: document.content });
    await caller.call(
      "createDocument",
      effects,
      () => database.documentService.createDocument(document),
      ({ id }) => ({
        effects: [
          ...set("documents", name, { id }),
          ...set("document_collaborators", `${id}/${this.#user}`, { $: true, role: "owner" }),
        ],
      }),
    );
  }

  async #updateDocument(): Promise<void> {
    const { caller, database, random } = this.#parts;
    const row = this.#mine("documents");
    const id = certain(row, "id");
    if (row === undefined || typeof id !== "string") return;
    const value = this.#name();
    const column = random.pick(["title", "content"] as const);
    const update = () =>
      column === "title"
        ? database.documentService.updateDocumentTitle(id, value)
        : database.documentService.updateDocumentContent(id, value);
    const effects = set("documents", row.row, { [column]: value });
    await caller.call("updateDocument", effects, update, (found) =>
      this.#found(found, true, `updateDocument ${row.row}`),
    );
  }

  /** Two rows in one transaction. */
  async #updateTwoDocuments(): Promise<void> {
    const { caller, database, random } = this.#parts;
    const rows = [this.#mine("documents"), this.#mine("documents")].filter((row) => row !== undefined);
    const [first, second] = rows;
    if (first === undefined || second === undefined || first === second) return;
    const value = this.#name();
    const update = (row: ModelRow) =>
      both("UPDATE documents SET content = ? WHERE id = ?", value, String(certain(row, "id")));
    const statements = [update(first), update(second), ...(random.chance(0.5) ? [pause] : [])];
    const effects = rows.flatMap((row) => set("documents", row.row, { content: value }));
    await caller.call(
      "updateTwoDocuments",
      effects,
      () => database.write(...statements),
      (results) => {
        const written = rows.filter((_, index) => results[index]?.changes === 1);
        if (written.length < 2) this.#found(false, true, `updateTwoDocuments ${first.row} ${second.row}`);
        return { nothing: true, effects: written.flatMap((row) => set("documents", row.row, { content: value })) };
      },
    );
  }

  async #deleteDocument(): Promise<void> {
    const { caller, database, model } = this.#parts;
    const row = this.#mine("documents");
    const id = certain(row, "id");
    if (row === undefined || typeof id !== "string") return;
    const children = [...model.rows("document_collaborators")].filter((child) => child.row.startsWith(`${id}/`));
    const effects = [row, ...children].flatMap((gone) => set(gone.table, gone.row, { $: false }));
    await caller.call(
      "deleteDocument",
      effects,
      () => database.documentService.deleteDocument(id),
      (found) => this.#found(found, true, `deleteDocument ${row.row}`),
    );
  }

  async #addCollaborator(): Promise<void> {
    const { caller, database } = this.#parts;
    const place = this.#place();
    if (place === null) return;
    const role = this.#name();
    const { documentId, userId, row } = place;
    const effects = set("document_collaborators", row, { $: true, role });
    await caller.call(
      "addCollaborator",
      effects,
      () => database.documentService.addCollaborator({ documentId, userId, role }),
      ({ id }) => ({ effects: set("document_collaborators", row, { id }) }),
    );
  }

  async #removeCollaborator(): Promise<void> {
    const { caller, database, model } = this.#parts;
    const place = this.#place();
    if (place === null) return;
    const { documentId, userId, row } = place;
    const existed = existence(model.get("document_collaborators", row));
    await caller.call(
      "removeCollaborator",
      set("document_collaborators", row, { $: false }),
      () => database.documentService.removeCollaborator(documentId, userId),
      (found) => this.#found(found, existed, `removeCollaborator ${row}`),
    );
  }

  /** A document and a user whose place in it only this lane changes. */
  #place(): { readonly documentId: string; readonly userId: string; readonly row: string } | null {
    const { model, owner, random } = this.#parts;
    const isShared = random.chance(0.5);
    const document = isShared ? model.get("documents", random.pick(shared.documents)) : this.#mine("documents");
    const id = certain(document, "id");
    if (typeof id !== "string") return null;
    const number = random.whole(0, 2);
    const userId = isShared ? `5${owner.slot}${owner.lane}00000000000000${number}` : `70000000000000000${number}`;
    return { documentId: id, userId, row: `${id}/${userId}` };
  }

  async #getOrCreateProfile(): Promise<void> {
    const { caller, database, random } = this.#parts;
    const user = sharedUser(random.whole(0, 4));
    const username = this.#name();
    const effects = anybody("user_profiles", user, { $: true, username });
    await caller.call(
      "getOrCreateUserProfile",
      effects,
      () => database.userProfileService.getOrCreateUserProfile(user, username),
      ({ id }) => ({ effects: [{ table: "user_profiles", row: user, column: "id", value: id, how: "same" }] }),
    );
  }

  async #updateSharedProfile(): Promise<void> {
    const { caller, database, model, owner, random } = this.#parts;
    const user = sharedUser(random.whole(0, 4));
    const value = this.#name();
    const existed = existence(model.get("user_profiles", user));
    const column = shared.columns[owner.slot * 3 + owner.lane] ?? "omega_thoughts";
    await caller.call(
      "updateUserProfile",
      set("user_profiles", user, { [column]: value }),
      () => database.userProfileService.updateUserProfile(user, { [column]: value }),
      (found) => this.#found(found, existed, `updateUserProfile ${user}`),
    );
  }

  async #incrementSharedProfile(): Promise<void> {
    const { caller, database, model, random } = this.#parts;
    const user = sharedUser(random.whole(0, 4));
    const existed = existence(model.get("user_profiles", user));
    await caller.call(
      "incrementMessageCount",
      [{ table: "user_profiles", row: user, column: "message_count", value: 1, how: "add" }],
      () => database.userProfileService.incrementMessageCount(user),
      (found) => this.#found(found, existed, `incrementMessageCount ${user}`),
    );
  }

  async #saveAnalysis(): Promise<void> {
    const { caller, database, model, owner, random } = this.#parts;
    const user = random.chance(0.5) ? sharedUser(random.whole(0, 4)) : privateUser(owner, random.whole(0, 1));
    if (existence(model.get("user_profiles", user)) !== true) return;
    const name = this.#name();
    await caller.call(
      "saveAnalysisHistory",
      set("user_analysis_history", name, { $: true, user_id: user }),
      () => database.userProfileService.saveAnalysisHistory(user, { joy: 1 }, { name }, 3, name),
      (id) => ({ effects: set("user_analysis_history", name, { id }) }),
    );
  }

  async #replaceProfile(): Promise<void> {
    const { caller, database, owner, random } = this.#parts;
    const user = privateUser(owner, random.whole(0, 1));
    const id = this.#name();
    const effects = [...this.#orphans(user), ...set("user_profiles", user, { $: true, id, username: id })];
    await caller.call("replaceProfile", effects, () => database.write(...replacement(user, id)));
  }

  /** The evicted row goes for good: nothing else will lead the mirror to it. */
  async #replaceAndDeleteProfile(): Promise<void> {
    const { caller, database, owner, random } = this.#parts;
    const user = privateUser(owner, random.whole(0, 1));
    // A side that never had the row can evict nothing: after a forced roll-back the other side's row comes in.
    const found = await this.#read(() => database.userProfileService.getUserProfile(user));
    if (found === undefined || found === null) return;
    const effects = [...this.#orphans(user), ...set("user_profiles", user, { $: false })];
    const remove = both("DELETE FROM user_profiles WHERE user_id = ?", user);
    const work = () => database.write(...replacement(user, this.#name()), remove);
    await caller.call("replaceAndDeleteProfile", effects, work);
  }

  async #rekeyProfile(): Promise<void> {
    const { owner, random } = this.#parts;
    const user = privateUser(owner, random.whole(0, 1));
    const id = this.#name();
    await this.#writeOne(
      "rekeyProfile",
      set("user_profiles", user, { id }),
      "UPDATE user_profiles SET id = ? WHERE user_id = ?",
      id,
      user,
    );
  }

  /** Two rows exchange a unique value: none of them can be written alone. */
  async #swapProfiles(): Promise<void> {
    const { caller, database, model, owner } = this.#parts;
    const users = [privateUser(owner, 0), privateUser(owner, 1)] as const;
    const rows = users.map((user) => model.get("user_profiles", user));
    const [first, second] = rows.map((row) => (existence(row) ? certain(row, "id") : undefined));
    if (typeof first !== "string" || typeof second !== "string") return;
    const text = "UPDATE user_profiles SET id = ? WHERE id = ?";
    const between = this.#name();
    const work = () =>
      database.write(both(text, between, first), both(text, first, second), both(text, second, between));
    const effects = [
      ...set("user_profiles", users[0], { id: second }),
      ...set("user_profiles", users[1], { id: first }),
    ];
    await caller.call("swapProfiles", effects, work, (results) => {
      const [here, there] = results.map(({ changes }) => changes === 1);
      if (here && there) return {};
      this.#found(false, true, `swapProfiles ${users}`);
      return { nothing: true, effects: there ? set("user_profiles", users[1], { id: first }) : [] };
    });
  }

  async #deleteProfile(): Promise<void> {
    const { owner, random } = this.#parts;
    const user = privateUser(owner, random.whole(0, 1));
    const effects = [...this.#orphans(user), ...set("user_profiles", user, { $: false })];
    await this.#writeOne("deleteProfile", effects, "DELETE FROM user_profiles WHERE user_id = ?", user);
  }

  /** The analyses of a profile go with it. */
  #orphans(user: string): Effect[] {
    const children = [...this.#parts.model.rows("user_analysis_history")].filter(
      (row) => row.cells.get("user_id")?.seen.has(user) && existence(row) !== false,
    );
    return children.flatMap(({ row }) => set("user_analysis_history", row, { $: false }));
  }

  async #writeOne(name: string, effects: readonly Effect[], text: string, ...values: string[]): Promise<void> {
    const { caller, database } = this.#parts;
    await caller.call(
      name,
      effects,
      () => database.write(both(text, ...values)),
      ([result]) => ({ nothing: result?.changes === 0 }),
    );
  }

  /** A console that knows nothing of the package: where the side is not primary it must be refused. */
  async #writeDirectly(): Promise<void> {
    const { caller, direct, random } = this.#parts;
    const side = random.pick(["sqlite", "postgres"] as const);
    if (!direct.sides.includes(side)) return;
    const name = this.#name();
    const user = "900000000000000009";
    const effects = set("messages", name, { $: true, id: name, message_content: name, user_id: user });
    await caller.call(`console on ${side}`, effects, () => direct.insertMessage(side, name, user));
  }

  async #checkMessage(name: string): Promise<void> {
    const { database, model } = this.#parts;
    const row = model.get("messages", name);
    const id = certain(row, "id");
    const exists = existence(row);
    if (typeof id !== "string" || exists === null) return;
    const found = await this.#read(() => database.messageService.getMessageById(id));
    if (found === undefined) return;
    if (exists !== (found !== null) || (found && found.message_content !== certain(row, "message_content")))
      this.#stale(`message ${name} by id`);
  }

  async #checkOwnMessage(): Promise<void> {
    const row = this.#mine("messages");
    if (row !== undefined) await this.#checkMessage(row.row);
  }

  async #checkOwnMessages(): Promise<void> {
    const { database, model, random } = this.#parts;
    const userId = this.#user;
    const own = [...model.rows("messages")].filter(({ cells }) => cells.get("user_id")?.settled === userId);
    const there = own.filter((row) => existence(row) === true);
    const maybe = [...model.rows("messages")].filter(
      (row) => row.cells.get("user_id")?.seen.has(userId) && existence(row) === null,
    );
    if (random.chance(0.5)) {
      const count = await this.#read(() => database.messageService.getMessageCount({ userId }));
      if (count !== undefined && (count < there.length || count > there.length + maybe.length))
        this.#stale(`${count} messages of ${userId}, expected ${there.length} (+${maybe.length})`);
      return;
    }
    const found = await this.#read(() => database.messageService.queryMessages({ userId, limit: 1_000 }));
    if (found === undefined) return;
    const ids = new Set<unknown>(found.map(({ id }) => id));
    const missing = there.filter((row) => typeof certain(row, "id") === "string" && !ids.has(certain(row, "id")));
    const gone = own.filter((row) => existence(row) === false && ids.has(certain(row, "id")));
    for (const row of [...missing, ...gone]) this.#stale(`message ${row.row} by filter`);
  }

  async #checkDocument(): Promise<void> {
    const { database } = this.#parts;
    const row = this.#mine("documents");
    const id = certain(row, "id");
    if (row === undefined || typeof id !== "string") return;
    const found = await this.#read(() => database.documentService.getDocument(id));
    if (found === undefined) return;
    for (const column of ["title", "content"] as const) {
      const expected = certain(row, column);
      if (expected !== undefined && found?.[column] !== expected) this.#stale(`document ${row.row} ${column}`);
    }
  }

  async #checkCollaborators(): Promise<void> {
    const { database, model } = this.#parts;
    const place = this.#place();
    if (place === null) return;
    const row = model.get("document_collaborators", place.row);
    const exists = existence(row);
    const list = await this.#read(() => database.documentService.getDocumentCollaborators(place.documentId));
    if (list === undefined || exists === null) return;
    const found = list.find(({ user_id }) => user_id === place.userId);
    const role = certain(row, "role");
    if (exists !== (found !== undefined) || (found && role !== undefined && found.role !== role))
      this.#stale(`collaborator ${place.row}`);
  }

  async #checkProfile(): Promise<void> {
    const { database, model, owner, random } = this.#parts;
    const user = privateUser(owner, random.whole(0, 1));
    const row = model.get("user_profiles", user);
    const exists = existence(row);
    const id = certain(row, "id");
    const found = await this.#read(() => database.userProfileService.getUserProfile(user));
    if (found === undefined || exists === null) return;
    if (exists !== (found !== null) || (found && id !== undefined && found.id !== id)) this.#stale(`profile ${user}`);
  }

  /** What another process has acknowledged is there for this one too. */
  async #checkPeers(): Promise<void> {
    const { database, peers } = this.#parts;
    const latest = peers.latestMessage();
    if (latest === null) return;
    const found = await this.#read(() => database.messageService.getMessageById(latest.id));
    if (found === null && !peers.mayBeGone(latest)) this.#stale(`message ${latest.name} of another process`);
  }

  async #read<T>(read: () => Promise<T>): Promise<T | undefined> {
    let result: T | undefined;
    const answered = await this.#parts.caller.call("read", [], async () => {
      result = await read();
    });
    return answered ? result : undefined;
  }

  /** A row of which this lane knows that it exists, and which nobody else changes. */
  #mine(table: TableName): ModelRow | undefined {
    const { model, owner, random } = this.#parts;
    const rows = [...model.rows(table)].filter((row) => isMine(owner, row.row) && existence(row) === true);
    return rows.length === 0 ? undefined : random.pick(rows);
  }

  /** An answer that there is no such row, where there must be one, is a stale read too. */
  #found(found: boolean, existed: boolean | null, what: string): { nothing: boolean } {
    if (!found && existed === true) this.#stale(`${what} found no row`);
    return { nothing: !found };
  }

  #stale(what: string): void {
    this.#parts.caller.stale(what, this.#parts.route);
  }
}

function anybody(table: TableName, row: string, values: Readonly<Record<string, string | boolean>>): Effect[] {
  return Object.entries(values).map(([column, value]) => ({ table, row, column, value, how: "any" }));
}

/** A row with the same unique value under another key: on SQLite by INSERT OR REPLACE, which evicts without a trigger. */
function replacement(user: string, id: string): WriteStatement[] {
  const columns = "(id, user_id, username, first_seen_at, last_interaction_at)";
  const evict = "DELETE FROM user_profiles WHERE user_id = $1";
  return [
    statement({ sql: "UPDATE user_profiles SET username = ? WHERE 1 = 0", text: evict, values: [user] }),
    statement({
      sql: `INSERT OR REPLACE INTO user_profiles ${columns} VALUES (?, ?, ?, 1, 2)`,
      text: `INSERT INTO user_profiles ${columns} VALUES ($1, $2, $3, 1, 2)`,
      values: [id, user, id],
    }),
  ];
}

/** A transaction that has written and does not commit yet. */
const pause = statement({
  sql: "UPDATE messages SET id = id WHERE 1 = 0",
  text: "SELECT pg_sleep(0.04)",
  values: [],
});
