import type { Actor, Seen } from "./actor.js";
import { set } from "./caller.js";
import { certain, existence, type ModelRow } from "./model.js";

/** What a lane does with messages. */
export class Messages {
  readonly #actor: Actor;

  constructor(actor: Actor) {
    this.#actor = actor;
  }

  async save(): Promise<void> {
    const { user } = this.#actor;
    const { database, random } = this.#actor.parts;
    const name = this.#actor.name();
    const kind = random.pick(["saveHumanMessage", "saveHumanMessage", "saveAIMessage", "saveToolExecution"] as const);
    const content =
      kind === "saveToolExecution" ? `Tool: ${name}` : `${name} ${"lorem ".repeat(random.whole(0, 20))}`.trim();
    const from = { userId: user, username: "torture", channelId: "1", channelName: "general" };
    const effects = set("messages", name, { $: true, message_content: content, user_id: user });
    const { messageService: service } = database;
    const work = () => {
      if (kind === "saveHumanMessage")
        return service.saveHumanMessage({ ...from, messageContent: content, responseDecision: { answer: true, name } });
      if (kind === "saveAIMessage")
        return service.saveAIMessage({ ...from, messageContent: content, metadata: [1, name] });
      return service.saveToolExecution({ ...from, toolName: name, toolArgs: { name }, toolResult: "[1]" });
    };
    const saved = await this.#actor.service(kind, effects, work, (id) => ({ effects: set("messages", name, { id }) }));
    if (saved && random.chance(0.3)) await this.#check(name);
  }

  async delete(): Promise<void> {
    const row = this.#actor.mine("messages");
    const id = certain(row, "id");
    if (row === undefined || typeof id !== "string") return;
    const effects = set("messages", row.row, { $: false });
    await this.#actor.writeOne("deleteMessage", effects, "DELETE FROM messages WHERE id = ?", id);
  }

  async checkOne(): Promise<void> {
    const row = this.#actor.mine("messages");
    if (row !== undefined) await this.#check(row.row);
  }

  async checkAll(): Promise<void> {
    await (this.#actor.parts.random.chance(0.5) ? this.#checkCount() : this.#checkFilter());
  }

  /** What another process has acknowledged is there for this one too. */
  async checkPeers(): Promise<void> {
    const { database, peers, random } = this.#actor.parts;
    const latest = peers.latestMessage(random);
    if (latest === null) return;
    const found = await this.#actor.read("getMessageById", () => database.messageService.getMessageById(latest.id));
    if (found?.value === null && !peers.mayBeGone(latest))
      this.#actor.stale(`message ${latest.name} of another process`, found.began, {
        table: "messages",
        row: latest.name,
      });
  }

  async #check(name: string): Promise<void> {
    const { database, model } = this.#actor.parts;
    const row = model.get("messages", name);
    const id = certain(row, "id");
    const exists = existence(row);
    if (row === undefined || typeof id !== "string" || exists === null) return;
    const found = await this.#actor.read("getMessageById", () => database.messageService.getMessageById(id));
    if (found === null) return;
    const content = found.value?.message_content;
    if (exists !== (found.value !== null) || (exists && content !== certain(row, "message_content")))
      this.#actor.stale(`message ${name} by id`, found.began, row);
  }

  async #checkCount(): Promise<void> {
    const { database, caller } = this.#actor.parts;
    const { userId, there, maybe } = this.#own();
    const filter = { userId };
    const found = await this.#actor.read("getMessageCount", () => database.messageService.getMessageCount(filter));
    if (found === null) return;
    const [least, most] = [there.length, there.length + maybe.length];
    const wrong = Math.max(least - found.value, found.value - most);
    if (wrong <= 0) return;
    const what = `${found.value} messages of ${userId}, expected ${least} (+${maybe.length})`;
    caller.stale(what, found.began, this.#ofUser(), wrong);
  }

  async #checkFilter(): Promise<void> {
    const { database } = this.#actor.parts;
    const { userId, there } = this.#own();
    const filter = { userId, limit: 1_000 };
    const found = await this.#actor.read("queryMessages", () => database.messageService.queryMessages(filter));
    if (found === null) return;
    const ids = new Set<unknown>(found.value.map(({ id }) => id));
    const missing = there.filter((row) => typeof certain(row, "id") === "string" && !ids.has(certain(row, "id")));
    const gone = this.#ofUser().filter((row) => existence(row) === false && ids.has(certain(row, "id")));
    this.#tellOf([...missing, ...gone], found);
  }

  #tellOf(rows: readonly ModelRow[], { began }: Seen<unknown>): void {
    for (const row of rows) this.#actor.stale(`message ${row.row} by filter`, began, row);
  }

  /** The messages of the lane's user that are there, and those of which nobody knows. */
  #own(): { readonly userId: string; readonly there: readonly ModelRow[]; readonly maybe: readonly ModelRow[] } {
    const rows = this.#ofUser();
    const there = rows.filter((row) => existence(row) === true && row.cells.get("user_id")?.settled !== undefined);
    return { userId: this.#actor.user, there, maybe: rows.filter((row) => existence(row) === null) };
  }

  #ofUser(): ModelRow[] {
    const { model } = this.#actor.parts;
    return [...model.rows("messages")].filter((row) => row.cells.get("user_id")?.seen.has(this.#actor.user));
  }
}
