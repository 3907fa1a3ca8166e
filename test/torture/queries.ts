import type { Actor } from "./actor.js";
import { set } from "./caller.js";
import { certain, existence, type ModelRow } from "./model.js";

/** What a lane does with queries: nobody changes one, so that all that was acknowledged stays. */
export class Queries {
  readonly #actor: Actor;

  constructor(actor: Actor) {
    this.#actor = actor;
  }

  async save(): Promise<void> {
    const { database } = this.#actor.parts;
    const name = this.#actor.name();
    const { user: userId } = this.#actor;
    const effects = set("queries", name, { $: true, query_text: name, user_id: userId });
    const query = { userId, username: "torture", queryText: name, queryResult: [{ name }], resultCount: 1 };
    const work = () => database.queryService.saveQuery(query);
    await this.#actor.service("saveQuery", effects, work, (id) => ({ effects: set("queries", name, { id }) }));
  }

  async check(): Promise<void> {
    const how = this.#actor.parts.random.pick(["id", "filter", "count"] as const);
    if (how === "id") await this.#checkOne();
    if (how === "filter") await this.#checkRecent();
    if (how === "count") await this.#checkCount();
  }

  async #checkOne(): Promise<void> {
    const row = this.#actor.mine("queries");
    const id = certain(row, "id");
    if (row === undefined || typeof id !== "string") return;
    const { queryService } = this.#actor.parts.database;
    const found = await this.#actor.read("getQueryById", () => queryService.getQueryById(id));
    if (found !== null && found.value?.query_text !== certain(row, "query_text"))
      this.#actor.stale(`query ${row.row} by id`, found.began, row);
  }

  async #checkRecent(): Promise<void> {
    const { queryService } = this.#actor.parts.database;
    const there = this.#ofUser().filter((row) => existence(row) === true);
    const filter = { userId: this.#actor.user, limit: 1_000 };
    const found = await this.#actor.read("getRecentQueries", () => queryService.getRecentQueries(filter));
    if (found === null) return;
    const texts = new Set(found.value.map(({ query_text }) => query_text));
    for (const row of there) if (!texts.has(row.row)) this.#actor.stale(`query ${row.row} by filter`, found.began, row);
  }

  async #checkCount(): Promise<void> {
    const { queryService } = this.#actor.parts.database;
    const rows = this.#ofUser();
    const least = rows.filter((row) => existence(row) === true).length;
    const filter = { userId: this.#actor.user };
    const found = await this.#actor.read("getQueryCount", () => queryService.getQueryCount(filter));
    if (found === null) return;
    const wrong = Math.max(least - found.value, found.value - rows.length);
    if (wrong <= 0) return;
    const what = `${found.value} queries of ${filter.userId}, expected ${least} to ${rows.length}`;
    this.#actor.parts.caller.stale(what, found.began, rows, wrong);
  }

  #ofUser(): ModelRow[] {
    const { model } = this.#actor.parts;
    return [...model.rows("queries")].filter((row) => row.cells.get("user_id")?.seen.has(this.#actor.user));
  }
}
