import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Engine, Side } from "../../src/engines/engine.js";
import { oneValue, openAt } from "../support/libsql.js";
import { journalKey, teamKey, teamName } from "./application.js";
import { Caller, set } from "./caller.js";
import { type Effect, LogWriter, readLog } from "./log.js";
import { Model } from "./model.js";
import { prefixOf, userOf } from "./names.js";
import type { FromBot, TrapOrder } from "./orders.js";
import type { Stage } from "./stage.js";
import { type PlainStatement, plain } from "./statements.js";

/** What a drill waited for did not happen in time: it has shown nothing, and nothing is wrong. */
export class Missed extends Error {}

const patienceMs = 10_000;
const owner = { slot: 9, lane: 0, slots: 0 };

/** What a drill works with: calls through a bot, announced in a log of its own, and looks past the package at both databases. */
export class Scene {
  readonly stage: Stage;
  readonly user: string;
  readonly #log: LogWriter;
  readonly #caller: Caller;
  readonly #prefix: string;
  readonly #sqlite: Engine;
  readonly #postgres: pg.Client;
  #names = 0;
  #messages = 0;

  private constructor(stage: Stage, sqlite: Engine, postgres: pg.Client) {
    const file = "8-0.jsonl";
    this.stage = stage;
    this.#log = new LogWriter(path.join(stage.logs, file));
    this.#caller = new Caller(this.#log, new Model([]), file, "drill");
    this.user = userOf({ ...owner, round: stage.round });
    this.#prefix = prefixOf({ ...owner, round: stage.round }, 0);
    this.#sqlite = sqlite;
    this.#postgres = postgres;
  }

  static async open(stage: Stage): Promise<Scene> {
    const postgres = new pg.Client({ connectionString: stage.pair.postgresUrl });
    postgres.on("error", () => {});
    await postgres.connect();
    return new Scene(stage, await openAt(stage.pair.sqliteFile), postgres);
  }

  async close(): Promise<void> {
    this.#log.close();
    await Promise.all([this.#sqlite.close(), this.#postgres.end()]);
  }

  name(): string {
    return `${this.#prefix}.${this.#names++}`;
  }

  /** Waits for what must happen, looking every few milliseconds. */
  async until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    const deadline = Date.now() + patienceMs;
    while (!(await holds())) {
      if (Date.now() > deadline) throw new Missed(what);
      await sleep(5);
    }
  }

  async within<T>(what: string, promise: Promise<T>): Promise<T> {
    const result = await Promise.race([promise, sleep(patienceMs, "late" as const, { ref: false })]);
    if (result === "late") throw new Missed(what);
    return result;
  }

  /** Writes through a bot, in one transaction. */
  async write(slot: number, name: string, effects: readonly Effect[], ...statements: PlainStatement[]): Promise<void> {
    await this.#announced(name, effects, () => this.stage.ask(slot, { to: "write", statements }));
  }

  async #announced(name: string, effects: readonly Effect[], work: () => Promise<unknown>): Promise<void> {
    if (!(await this.#caller.call({ name, via: "statements", effects, work })))
      throw new Missed(`${name} was not answered`);
  }

  async newMessage(slot: number): Promise<string> {
    const { id, effects, insert } = this.#message();
    await this.write(slot, "newMessage", effects, insert);
    this.#messages += 1;
    return id;
  }

  #message(): { readonly id: string; readonly effects: Effect[]; readonly insert: PlainStatement } {
    const id = this.name();
    const insert = plain(
      "INSERT INTO messages (id, timestamp, sender_type, user_id, message_content, created_at) VALUES (?, 1, 'human', ?, ?, 1)",
      id,
      this.user,
      id,
    );
    return { id, insert, effects: set("messages", id, { $: true, id, message_content: id, user_id: this.user }) };
  }

  /** Gives a message another text. → the text */
  async changeMessage(slot: number, id: string): Promise<string> {
    const content = `${id} ${this.name()}`;
    const update = plain("UPDATE messages SET message_content = ? WHERE id = ?", content, id);
    await this.write(slot, "changeMessage", set("messages", id, { message_content: content }), update);
    return content;
  }

  /** A transaction on PostgreSQL, past the package, that has written a message and not committed. */
  async openTransaction(): Promise<{ readonly id: string; commit(): Promise<void> }> {
    const { id, effects, insert } = this.#message();
    await this.#postgres.query("BEGIN");
    await this.#postgres.query(insert.text, [...insert.values]);
    const commit = async () => {
      await this.#announced("a console's transaction", effects, () => this.#postgres.query("COMMIT"));
      this.#messages += 1;
    };
    return { id, commit };
  }

  async newTeam(slot: number): Promise<string> {
    const [region, badge] = [this.name(), this.name()];
    const insert = plain("INSERT INTO teams (region, number, badge, score) VALUES (?, 1, ?, 1)", region, badge);
    const team = teamName(region, 1);
    await this.write(slot, "newTeam", set("teams", team, { $: true, badge, score: 1 }), insert);
    return team;
  }

  /** In one transaction. */
  async score(slot: number, scores: Readonly<Record<string, number>>): Promise<void> {
    const effects = Object.entries(scores).flatMap(([team, score]) => set("teams", team, { score }));
    const statements = Object.entries(scores).map(([team, score]) => {
      const { region, number } = teamKey(team);
      return plain(`UPDATE teams SET score = ${score} WHERE region = ? AND number = ${number}`, region);
    });
    await this.write(slot, "score", effects, ...statements);
  }

  /** The other side will refuse the team's row. */
  expectRefusal(team: string): void {
    this.#log.write({ is: "refusable", table: "teams", key: journalKey(team) });
  }

  async expectScore(slot: number, team: string, score: number): Promise<void> {
    const { region, number } = teamKey(team);
    const select = plain(`SELECT score FROM teams WHERE region = ? AND number = ${number}`, region);
    const [row] = await this.stage.ask(slot, { to: "read", statement: select });
    if (row?.score !== score) this.wrong("stale", `the score of team ${team} is ${row?.score}, not ${score}`);
  }

  /** A message that has been acknowledged is there, whichever way a bot is asked. */
  async expectMessage(slot: number, id: string): Promise<void> {
    const { user: userId, stage } = this;
    const how = stage.random.pick(["message", "messages", "count"] as const);
    const rows = await stage.ask(slot, how === "message" ? { to: how, id } : { to: how, userId });
    const found = how === "count" ? rows[0]?.count === this.#messages : rows.some((row) => row.id === id);
    if (!found) this.wrong("stale", `message ${id}, acknowledged by another process, by ${how}`);
  }

  wrong(kind: "stale" | "different", what: string): void {
    this.#log.write({ is: "wrong", kind, what });
  }

  /** Both sides are owed nothing. */
  carried(): Promise<void> {
    return this.until(
      "everything carried",
      async () => (await this.owed("sqlite")) + (await this.owed("postgres")) === 0,
    );
  }

  /** How many rows a side's journal has. */
  async owed(side: Side): Promise<number> {
    return Number(await this.#look(side, "SELECT COUNT(*) AS count FROM dualdb_journal"));
  }

  async primaryOf(side: Side): Promise<unknown> {
    return this.#look(side, `SELECT "primary" FROM dualdb_state`);
  }

  async contentOf(side: Side, id: string): Promise<unknown> {
    return this.#look(side, `SELECT message_content FROM messages WHERE id = '${id}'`);
  }

  /** How often PostgreSQL has refused the team's row as SQLite's journal has it; undefined where it has none. */
  async refusals(team: string): Promise<unknown> {
    const where = `table_name = 'teams' AND row_key = '${journalKey(team)}'`;
    return this.#look("sqlite", `SELECT attempts FROM dualdb_journal WHERE ${where}`);
  }

  async #look(side: Side, text: string): Promise<unknown> {
    if (side === "sqlite") return oneValue(this.#sqlite, text);
    const { rows } = await this.#postgres.query<Record<string, unknown>>(text);
    return Object.values(rows[0] ?? {})[0];
  }

  /** Whether a session of PostgreSQL is there of which this holds. */
  async hasSession(condition: string): Promise<boolean> {
    await this.#postgres.query("SELECT pg_stat_clear_snapshot()");
    const { rows } = await this.#postgres.query(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND ${condition}`,
    );
    return rows.length > 0;
  }

  /** Keeps every pass and every step of a flip waiting while `work` runs. */
  async whileLocked(work: () => Promise<void>): Promise<void> {
    await this.#postgres.query("BEGIN; SELECT 1 FROM dualdb_state FOR UPDATE");
    try {
      await work();
    } finally {
      await this.#postgres.query("ROLLBACK");
    }
  }

  /** Nobody else can write to SQLite while `work` runs. */
  whileWriting(work: () => Promise<void>): Promise<void> {
    return this.#sqlite.transaction({ mode: "write" }, work);
  }

  /** Resolves when the bot's relay stands there. */
  hold(slot: number, point: TrapOrder["point"]): Promise<FromBot> {
    const sprung = this.stage.trap(slot, { do: "trap", point, skip: 0, action: "hold" });
    sprung.catch(() => {});
    return sprung;
  }

  /** Whether the present process of a bot has logged that event. */
  hasLogged(slot: number, event: string): boolean {
    return readLog(this.stage.logOf(slot)).some((line) => line.is === "event" && line.event === event);
  }
}
