import { teamKey, teamName } from "./application.js";
import { set } from "./caller.js";
import type { LaneParts } from "./lane.js";
import type { Effect } from "./log.js";
import { certain, existence, type ModelRow } from "./model.js";
import { isMine } from "./names.js";
import { both, type WriteStatement } from "./statements.js";

/** What a lane does with the application's own tables: rows whose unique values change hands while old children hang on them. */
export class Teams {
  readonly #parts: LaneParts;
  readonly #name: () => string;

  constructor(parts: LaneParts, name: () => string) {
    this.#parts = parts;
    this.#name = name;
  }

  /** A team and its first members, in one transaction. */
  async found(): Promise<void> {
    const { caller, database, random } = this.#parts;
    const team = teamName(this.#name(), random.whole(1, 3));
    const badge = this.#name();
    const members = Array.from({ length: random.whole(1, 2) }, () => this.#member(team));
    const effects = [...set("teams", team, { $: true, badge, score: 1 }), ...members.flatMap(({ effects }) => effects)];
    const statements = [insertTeam(team, badge), ...members.map(({ insert }) => insert)];
    await caller.call("foundTeam", effects, () => database.write(...statements));
  }

  async join(): Promise<void> {
    const { caller, database } = this.#parts;
    const team = this.#any();
    if (team === undefined) return;
    const { effects, insert } = this.#member(team.row);
    await caller.call("joinTeam", effects, () => database.write(insert));
  }

  /** Two or three teams hand their badges round: none of them can be written alone, and none of their members is written at all. */
  async swap(): Promise<void> {
    const { random } = this.#parts;
    const teams = this.#several(random.whole(2, 3));
    const badges = teams.map((team) => certain(team, "badge"));
    if (teams.length < 2 || badges.some((badge) => typeof badge !== "string")) return;
    const changes = teams.map((team, index) => ({ team, badge: String(badges[(index + 1) % badges.length]) }));
    const [first] = changes;
    if (first === undefined) return;
    const between = setBadge(first.team.row, this.#name());
    await this.#change("swapBadges", changes.reverse(), [between]);
  }

  /** A new team gets the badge that another one has had until then. */
  async inherit(): Promise<void> {
    const { random } = this.#parts;
    const heir = teamName(this.#name(), random.whole(1, 3));
    const team = this.#any();
    const badge = certain(team, "badge");
    if (team === undefined || typeof badge !== "string") return;
    const effects = set("teams", heir, { $: true, badge, score: 1 });
    await this.#change("inheritBadge", [{ team, badge: this.#name() }], [], [insertTeam(heir, badge)], effects);
  }

  async disband(): Promise<void> {
    const { caller, database, model } = this.#parts;
    const team = this.#any();
    if (team === undefined) return;
    const { region, number } = teamKey(team.row);
    const members = [...model.rows("members")].filter(
      (row) => certain(row, "region") === region && existence(row) !== false,
    );
    const effects = [team, ...members].flatMap((gone) => set(gone.table, gone.row, { $: false }));
    const remove = both(`DELETE FROM teams WHERE region = ? AND number = ${number}`, region);
    await caller.call(
      "disbandTeam",
      effects,
      () => database.write(remove),
      ([result]) => this.#found(result?.changes === 1, `disbandTeam ${team.row}`),
    );
  }

  async check(): Promise<void> {
    const { caller, database, route } = this.#parts;
    const team = this.#any();
    const badge = certain(team, "badge");
    if (team === undefined || badge === undefined) return;
    const { region, number } = teamKey(team.row);
    await caller.call("read", [], async () => {
      const text = `SELECT badge FROM teams WHERE region = ? AND number = ${number}`;
      const [row] = await database.read(both(text, region));
      if (row?.badge !== badge) caller.stale(`team ${team.row}`, route);
    });
  }

  /** Changes badges in one transaction. What came about shows in the last statement about each team. */
  async #change(
    name: string,
    changes: readonly { readonly team: ModelRow; readonly badge: string }[],
    before: readonly WriteStatement[],
    after: readonly WriteStatement[] = [],
    others: readonly Effect[] = [],
  ): Promise<void> {
    const { caller, database } = this.#parts;
    const effects = changes.map(({ team, badge }) => set("teams", team.row, { badge }));
    const statements = [...before, ...changes.map(({ team, badge }) => setBadge(team.row, badge)), ...after];
    await caller.call(
      name,
      [...effects.flat(), ...others],
      () => database.write(...statements),
      (results) => {
        const done = effects.filter((_, index) => results[before.length + index]?.changes === 1);
        this.#found(done.length === effects.length, `${name} ${changes.map(({ team }) => team.row)}`);
        return { nothing: true, effects: [...done.flat(), ...others] };
      },
    );
  }

  #member(team: string): { readonly effects: Effect[]; readonly insert: WriteStatement } {
    const { region, number } = teamKey(team);
    const name = this.#name();
    const id = this.#parts.random.whole(1, 2 ** 50);
    const text = `INSERT INTO members (id, region, number, name) VALUES (${id}, ?, ${number}, ?)`;
    return { effects: set("members", name, { $: true, id, region, number }), insert: both(text, region, name) };
  }

  #any(): ModelRow | undefined {
    return this.#several(1)[0];
  }

  /** So many teams of this lane, or as many as there are. */
  #several(count: number): ModelRow[] {
    const { model, owner, random } = this.#parts;
    const all = [...model.rows("teams")].filter((row) => isMine(owner, row.row) && existence(row) === true);
    const chosen: ModelRow[] = [];
    while (chosen.length < count && all.length > 0) chosen.push(...all.splice(random.whole(0, all.length - 1), 1));
    return chosen;
  }

  #found(found: boolean, what: string): { nothing: boolean } {
    if (!found) this.#parts.caller.stale(`${what} found no row`, this.#parts.route);
    return { nothing: !found };
  }
}

function insertTeam(team: string, badge: string): WriteStatement {
  const { region, number } = teamKey(team);
  return both(`INSERT INTO teams (region, number, badge, score) VALUES (?, ${number}, ?, 1)`, region, badge);
}

function setBadge(team: string, badge: string): WriteStatement {
  const { region, number } = teamKey(team);
  return both(`UPDATE teams SET badge = ? WHERE region = ? AND number = ${number}`, badge, region);
}
