import type { Actor } from "./actor.js";
import { teamKey, teamName } from "./application.js";
import { set } from "./caller.js";
import type { Effect } from "./log.js";
import { certain, existence, type ModelRow } from "./model.js";
import { both, type WriteStatement } from "./statements.js";

/** What a lane does with the application's own tables: rows whose unique values change hands while old children hang on them. */
export class Teams {
  readonly #actor: Actor;

  constructor(actor: Actor) {
    this.#actor = actor;
  }

  /** A team and its first members, in one transaction. */
  async found(): Promise<void> {
    const { random } = this.#actor.parts;
    const team = teamName(this.#actor.name(), random.whole(1, 3));
    const badge = this.#actor.name();
    const members = Array.from({ length: random.whole(1, 2) }, () => this.#member(team));
    const effects = [...set("teams", team, { $: true, badge, score: 1 }), ...members.flatMap(({ effects }) => effects)];
    const statements = [insertTeam(team, badge), ...members.map(({ insert }) => insert)];
    await this.#actor.write("foundTeam", effects, statements);
  }

  async join(): Promise<void> {
    const team = this.#actor.mine("teams");
    if (team === undefined) return;
    const { effects, insert } = this.#member(team.row);
    await this.#actor.write("joinTeam", effects, [insert]);
  }

  /** Two or three teams hand their badges round: none of them can be written alone, and none of their members is written at all. */
  async swap(): Promise<void> {
    const { random } = this.#actor.parts;
    const teams = this.#several(random.whole(2, 3));
    const badges = teams.map((team) => certain(team, "badge"));
    if (teams.length < 2 || badges.some((badge) => typeof badge !== "string")) return;
    const changes = teams.map((team, index) => ({ team, badge: String(badges[(index + 1) % badges.length]) }));
    const [first] = changes;
    if (first === undefined) return;
    const between = setBadge(first.team.row, this.#actor.name());
    await this.#change("swapBadges", changes.reverse(), [between]);
  }

  /** A new team gets the badge that another one has had until then. */
  async inherit(): Promise<void> {
    const { random } = this.#actor.parts;
    const heir = teamName(this.#actor.name(), random.whole(1, 3));
    const team = this.#actor.mine("teams");
    const badge = certain(team, "badge");
    if (team === undefined || typeof badge !== "string") return;
    const effects = set("teams", heir, { $: true, badge, score: 1 });
    await this.#change("inheritBadge", [{ team, badge: this.#actor.name() }], [], [insertTeam(heir, badge)], effects);
  }

  async disband(): Promise<void> {
    const { model } = this.#actor.parts;
    const team = this.#actor.mine("teams");
    if (team === undefined) return;
    const { region, number } = teamKey(team.row);
    const members = [...model.rows("members")].filter(
      (row) => certain(row, "region") === region && existence(row) !== false,
    );
    const effects = [team, ...members].flatMap((gone) => set(gone.table, gone.row, { $: false }));
    const remove = both(`DELETE FROM teams WHERE region = ? AND number = ${number}`, region);
    const expected = this.#actor.expectFound(`disbandTeam ${team.row}`, team);
    await this.#actor.write("disbandTeam", effects, [remove], ([result], began) =>
      expected(result?.changes === 1, began),
    );
  }

  async check(): Promise<void> {
    const team = this.#actor.mine("teams");
    const badge = certain(team, "badge");
    if (team === undefined || badge === undefined) return;
    const { region, number } = teamKey(team.row);
    const text = `SELECT badge FROM teams WHERE region = ? AND number = ${number}`;
    const found = await this.#actor.select(text, region);
    if (found !== null && found.value[0]?.badge !== badge) this.#actor.stale(`team ${team.row}`, found.began, team);
  }

  /** Changes badges in one transaction. What came about shows in the last statement about each team. */
  async #change(
    name: string,
    changes: readonly { readonly team: ModelRow; readonly badge: string }[],
    before: readonly WriteStatement[],
    after: readonly WriteStatement[] = [],
    others: readonly Effect[] = [],
  ): Promise<void> {
    const effects = changes.map(({ team, badge }) => set("teams", team.row, { badge }));
    const statements = [...before, ...changes.map(({ team, badge }) => setBadge(team.row, badge)), ...after];
    await this.#actor.write(name, [...effects.flat(), ...others], statements, (results, began) => {
      const isDone = (index: number) => results[before.length + index]?.changes === 1;
      for (const [index, { team }] of changes.entries())
        this.#actor.expectFound(`${name} ${team.row}`, team)(isDone(index), began);
      return { nothing: true, effects: [...effects.filter((_, index) => isDone(index)).flat(), ...others] };
    });
  }

  #member(team: string): { readonly effects: Effect[]; readonly insert: WriteStatement } {
    const { region, number } = teamKey(team);
    const name = this.#actor.name();
    const id = this.#actor.parts.random.whole(1, 2 ** 50);
    const text = `INSERT INTO members (id, region, number, name) VALUES (${id}, ?, ${number}, ?)`;
    return { effects: set("members", name, { $: true, id, region, number }), insert: both(text, region, name) };
  }

  /** So many teams of this lane, or as many as there are. */
  #several(count: number): ModelRow[] {
    const { random } = this.#actor.parts;
    const all = this.#actor.allMine("teams");
    const chosen: ModelRow[] = [];
    while (chosen.length < count && all.length > 0) chosen.push(...all.splice(random.whole(0, all.length - 1), 1));
    return chosen;
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
