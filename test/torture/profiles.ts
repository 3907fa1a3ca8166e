import type { Actor } from "./actor.js";
import { anybody, set } from "./caller.js";
import type { Effect } from "./log.js";
import { certain, existence, type ModelRow } from "./model.js";
import { privateUser, shared, sharedUser } from "./names.js";
import { both, statement, type WriteStatement } from "./statements.js";

/** What a lane does with profiles: those that all share, and those of two users that only this lane knows. */
export class Profiles {
  readonly #actor: Actor;

  constructor(actor: Actor) {
    this.#actor = actor;
  }

  async getOrCreate(): Promise<void> {
    const { userProfileService } = this.#actor.parts.database;
    const user = this.#shared();
    const username = this.#actor.name();
    const effects = anybody("user_profiles", user, { $: true, username });
    const work = () => userProfileService.getOrCreateUserProfile(user, username);
    await this.#actor.service("getOrCreateUserProfile", effects, work, ({ id }) => ({
      effects: [{ table: "user_profiles", row: user, column: "id", value: id, how: "same" }],
    }));
  }

  async update(): Promise<void> {
    const { database, model, owner } = this.#actor.parts;
    const user = this.#shared();
    const value = this.#actor.name();
    const column = shared.columns[owner.slot * 3 + owner.lane] ?? "omega_thoughts";
    const effects = set("user_profiles", user, { [column]: value });
    const existed = existence(model.get("user_profiles", user));
    await this.#actor.service(
      "updateUserProfile",
      effects,
      () => database.userProfileService.updateUserProfile(user, { [column]: value }),
      this.#actor.expectFound(`updateUserProfile ${user}`, { table: "user_profiles", row: user }, existed),
    );
  }

  async increment(): Promise<void> {
    const { database, model } = this.#actor.parts;
    const user = this.#shared();
    const existed = existence(model.get("user_profiles", user));
    await this.#actor.service(
      "incrementMessageCount",
      [{ table: "user_profiles", row: user, column: "message_count", value: 1, how: "add" }],
      () => database.userProfileService.incrementMessageCount(user),
      this.#actor.expectFound(`incrementMessageCount ${user}`, { table: "user_profiles", row: user }, existed),
    );
  }

  async saveAnalysis(): Promise<void> {
    const { database, model } = this.#actor.parts;
    const user = this.#any();
    if (existence(model.get("user_profiles", user)) !== true) return;
    const name = this.#actor.name();
    const effects = set("user_analysis_history", name, { $: true, user_id: user });
    const work = () => database.userProfileService.saveAnalysisHistory(user, { joy: 1 }, { name }, 3, name);
    await this.#actor.service("saveAnalysisHistory", effects, work, (id) => ({
      effects: set("user_analysis_history", name, { id }),
    }));
  }

  /** For a user who has none, as far as this lane knows. */
  async create(): Promise<void> {
    const { database, model } = this.#actor.parts;
    const user = this.#private();
    if (existence(model.get("user_profiles", user)) !== false) return;
    const username = this.#actor.name();
    const effects = set("user_profiles", user, { $: true, username });
    const work = () => database.userProfileService.createUserProfile(user, username);
    await this.#actor.service("createUserProfile", effects, work, (id) => ({
      effects: set("user_profiles", user, { id }),
    }));
  }

  async replace(): Promise<void> {
    const user = this.#private();
    const id = this.#actor.name();
    const effects = [...this.#orphans(user), ...set("user_profiles", user, { $: true, id, username: id })];
    await this.#actor.write("replaceProfile", effects, replacement(user, id));
  }

  /** The evicted row goes for good: nothing else will lead the mirror to it. */
  async replaceAndDelete(): Promise<void> {
    const { userProfileService } = this.#actor.parts.database;
    const user = this.#private();
    // A side that never had the row can evict nothing: after a forced roll-back the other side's row comes in.
    const found = await this.#actor.read("getUserProfile", () => userProfileService.getUserProfile(user));
    if (found === null || found.value === null) return;
    const effects = [...this.#orphans(user), ...set("user_profiles", user, { $: false })];
    const remove = both("DELETE FROM user_profiles WHERE user_id = ?", user);
    await this.#actor.write("replaceAndDeleteProfile", effects, [...replacement(user, this.#actor.name()), remove]);
  }

  async rekey(): Promise<void> {
    const user = this.#private();
    const id = this.#actor.name();
    const text = "UPDATE user_profiles SET id = ? WHERE user_id = ?";
    await this.#actor.writeOne("rekeyProfile", set("user_profiles", user, { id }), text, id, user);
  }

  /** Two rows exchange a unique value: none of them can be written alone. */
  async swap(): Promise<void> {
    const { model, owner } = this.#actor.parts;
    const users = [privateUser(owner, 0), privateUser(owner, 1)] as const;
    const rows = users.map((user) => model.get("user_profiles", user));
    const [first, second] = rows.map((row) => (existence(row) ? certain(row, "id") : undefined));
    if (typeof first !== "string" || typeof second !== "string") return;
    const text = "UPDATE user_profiles SET id = ? WHERE id = ?";
    const between = this.#actor.name();
    const statements = [both(text, between, first), both(text, first, second), both(text, second, between)];
    const effects = [
      ...set("user_profiles", users[0], { id: second }),
      ...set("user_profiles", users[1], { id: first }),
    ];
    await this.#actor.write("swapProfiles", effects, statements, (results, began) => {
      const [here, there] = results.map(({ changes }) => changes === 1);
      if (here && there) return {};
      const missing = [...(here ? [] : [users[0]]), ...(there ? [] : [users[1]])];
      for (const row of missing)
        this.#actor.stale(`swapProfiles ${users} found no row`, began, { table: "user_profiles", row });
      const done = [
        ...(here ? set("user_profiles", users[0], { id: second }) : []),
        ...(there ? set("user_profiles", users[1], { id: first }) : []),
      ];
      return { nothing: true, effects: done };
    });
  }

  async delete(): Promise<void> {
    const user = this.#private();
    const effects = [...this.#orphans(user), ...set("user_profiles", user, { $: false })];
    await this.#actor.writeOne("deleteProfile", effects, "DELETE FROM user_profiles WHERE user_id = ?", user);
  }

  async check(): Promise<void> {
    const { database, model, random } = this.#actor.parts;
    const { userProfileService } = database;
    if (random.chance(0.3)) return this.#checkHistory();
    const name = random.pick(["getUserProfile", "getAllUserProfiles", "getUsersNeedingAnalysis"] as const);
    const user = this.#private();
    const row = model.get("user_profiles", user);
    const exists = existence(row);
    const id = certain(row, "id");
    const found = await this.#actor.read(name, async () => {
      if (name === "getUserProfile") return userProfileService.getUserProfile(user);
      return (await userProfileService[name](1_000)).find(({ user_id }) => user_id === user) ?? null;
    });
    if (found === null || row === undefined || exists === null) return;
    const { value: profile, began } = found;
    if (exists !== (profile !== null) || (profile && id !== undefined && profile.id !== id))
      this.#actor.stale(`profile ${user} by ${name}`, began, row);
  }

  async #checkHistory(): Promise<void> {
    const { userProfileService } = this.#actor.parts.database;
    const user = this.#any();
    const rows = this.#analyses(user).map((row) => ({ row, exists: existence(row) }));
    const found = await this.#actor.read("getAnalysisHistory", () =>
      userProfileService.getAnalysisHistory(user, 1_000),
    );
    if (found === null) return;
    const names = new Set(found.value.map(({ id, changes_summary }) => changes_summary ?? id));
    for (const { row, exists } of rows)
      if (exists !== null && exists !== names.has(row.row))
        this.#actor.stale(`analysis ${row.row} of ${user}`, found.began, row);
  }

  /** The analyses of a profile go with it. */
  #orphans(user: string): Effect[] {
    const children = this.#analyses(user).filter((row) => existence(row) !== false);
    return children.flatMap(({ row }) => set("user_analysis_history", row, { $: false }));
  }

  #analyses(user: string): ModelRow[] {
    const { model } = this.#actor.parts;
    return [...model.rows("user_analysis_history")].filter((row) => row.cells.get("user_id")?.seen.has(user));
  }

  #any(): string {
    return this.#actor.parts.random.chance(0.5) ? this.#shared() : this.#private();
  }

  #shared(): string {
    return sharedUser(this.#actor.parts.random.whole(0, 4));
  }

  #private(): string {
    const { owner, random } = this.#actor.parts;
    return privateUser(owner, random.whole(0, 1));
  }
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
