import { journalKey } from "./application.js";
import type { CellValue, Effect, Logged, RowName } from "./log.js";
import { type KnownRow, Model, type ModelRow, misfits } from "./model.js";
import type { ForcedRollBack, Image } from "./observers.js";
import { followedTable, followedValues, type Row } from "./tables.js";

/** A bot's log, with what one has to know to place its calls. */
export interface BotLog {
  readonly source: string;
  readonly lines: readonly Logged[];
}

/** A row by its name, with everything that was seen under it around a forced roll-back. */
class Node {
  readonly name: RowName;
  /** SQLite's row when it became primary; null: it had none. */
  before: Image | null = null;
  /** PostgreSQL's row when it ceased to be primary, null: it had none; undefined where nothing was owed for the row. */
  owed: Image | null | undefined = undefined;
  readonly written: Image[] = [];
  /** Another row, or itself, that stands for all that can only come in together. */
  #group: Node = this;

  constructor(name: RowName) {
    this.name = name;
  }

  /** What stands for the rows that this one can only come in with. */
  get group(): Node {
    return this.#group === this ? this : this.#group.group;
  }

  join(other: Node | undefined): void {
    if (other !== undefined && other.group !== this.group) this.group.#group = other.group;
  }

  get images(): Image[] {
    return [this.before, this.owed, ...this.written].filter((image) => image !== null && image !== undefined);
  }

  /** Whether it was owed to SQLite, or written there. */
  get isConcerned(): boolean {
    return this.owed !== undefined || this.written.length > 0;
  }

  /** Whether PostgreSQL had another version of the row than SQLite. */
  get isOwed(): boolean {
    const { name, before, owed } = this;
    if (owed === undefined) return false;
    if (before === null || owed === null) return before !== owed;
    const [here, there] = [before, owed].map(({ row }) => followedValues(followedTable(name.table), row ?? {}));
    const columns = new Set([...Object.keys(here ?? {}), ...Object.keys(there ?? {})]);
    return [...columns].some((column) => (here?.[column] ?? null) !== (there?.[column] ?? null));
  }
}

/**
 * What a roll-back without PostgreSQL accounts for, by key.
 *
 * SQLite goes on with the rows that it has (`before`). What PostgreSQL had taken and not handed over (`owed`) comes in when it is back,
 * unless somebody has written it on SQLite meanwhile (`written`). So there are four kinds of legitimate deviation from "the last
 * acknowledged write counts", and no more:
 *
 * 1. Until everything is in, an answer from SQLite may lack what a row is owed, and a write may meet what it still holds: a unique value
 *    that has been given away on PostgreSQL, a parent that is only there.
 * 2. A row that is owed and was written on SQLite is a conflict, named by `status()`: SQLite's version stays, that is, `before` and the calls
 *    since then. What PostgreSQL had acknowledged for this row is gone.
 * 3. A row that is owed and was not written itself shares that fate where it cannot come in without touching one that was: it holds the same
 *    unique value, is its parent or its child, or had the same key (profiles change theirs), or is linked to it by other rows that are
 *    owed. Else it comes in, also where a call on SQLite meant to delete the row of that name: what was deleted there was another row,
 *    under another key.
 * 4. PostgreSQL may be out of reach for one process only. Another one goes on with it until PostgreSQL's own state says otherwise
 *    (`closed`), and does not see what is written on SQLite meanwhile.
 *
 * A row that was carried before, a row that is not owed, and a row that hangs on nothing that was written on SQLite have no excuse, and a
 * conflict that is named for one of them is wrong itself.
 */
export class RollBack {
  readonly #facts: ForcedRollBack;
  readonly #nodes = new Map<string, Node>();
  /** Rows that are owed or were written, by the keys and the badges that they have had. */
  readonly #byKey = new Map<string, Node[]>();
  readonly #byBadge = new Map<unknown, Node[]>();
  readonly #written: ReadonlySet<string>;
  /** What stands for rows of which one was written on SQLite, and for those of which one was named as a conflict. */
  readonly #fated = new Set<Node>();
  readonly #named = new Set<Node>();
  /** What SQLite must have if it was never told what it was owed. */
  readonly #after: Model;

  constructor(facts: ForcedRollBack, logs: readonly BotLog[]) {
    this.#facts = facts;
    this.#written = new Set(facts.written.map(keyOf));
    this.#after = new Model(facts.before.map(knownOf));
    for (const log of logs) this.#follow(log);
    this.#takeImages();
    this.#link();
  }

  /** Whether answers to calls that were made at that time may lack a row's last acknowledged state. */
  excusesAnswer(name: RowName, began: number): boolean {
    const { from, to, closed } = this.#facts;
    const node = this.#nodes.get(nameOf(name));
    if (node === undefined || began < from - clockMs) return false;
    if (node.written.length > 0 && began <= closed + clockMs) return true;
    return node.isOwed && (began <= to + clockMs || this.#fated.has(node.group));
  }

  /** Whether a write made at that time may have met what SQLite still holds, or not have found what it lacks. */
  excusesViolation(effects: readonly Effect[], began: number): boolean {
    const rows = new Map(effects.map((effect) => [nameOf(effect), effect]));
    return [...rows].some(([name, row]) => {
      const cells = effects.filter((effect) => nameOf(effect) === name).map(({ column, value }) => [column, value]);
      const touched = this.#touchedBy(row, Object.fromEntries(cells));
      return touched.some((node) => this.excusesAnswer(node.name, began));
    });
  }

  /** Whether the row, as it is stored, is what a conflict has left of it, or has come in under another key than was written. */
  excusesRow(row: RowName, stored: Values | undefined): boolean {
    const node = this.#nodes.get(nameOf(row));
    if (node === undefined || !node.isOwed) return false;
    if (!this.#fated.has(node.group) || !this.#named.has(node.group)) return false;
    const after = this.#after.get(row.table, row.row);
    const stays = after === undefined ? stored === undefined : misfits(after, stored).length === 0;
    return stays || this.#hasComeIn(node, after, stored);
  }

  /** Whether two answers may have given a row different values of a column that nothing changes. */
  excusesContradiction(row: RowName): boolean {
    const node = this.#nodes.get(nameOf(row));
    return node?.isOwed === true && this.#fated.has(node.group);
  }

  /** Conflicts that were named although nothing that was written on SQLite stood in the row's way. */
  unfoundedConflicts(): readonly Image[] {
    return this.#facts.conflicts.filter((conflict) => {
      const nodes = this.#byKey.get(keyOf(conflict)) ?? [];
      return !nodes.some((node) => node.owed !== undefined && this.#fated.has(node.group));
    });
  }

  /** The calls since SQLite has become primary; of those that may have gone to PostgreSQL nobody knows whether SQLite has them. */
  #follow({ source, lines }: BotLog): void {
    const { from } = this.#facts;
    const last = lines.at(-1)?.at ?? 0;
    const since = lines.find((line) => line.at >= from && isOnSqliteSince(line))?.at ?? Number.POSITIVE_INFINITY;
    const ends = new Map(
      lines.flatMap((line) => ("call" in line && line.is !== "intent" ? [[line.call, line.at]] : [])),
    );
    const begins = new Map<number, number>();
    for (const line of lines) {
      if (!("call" in line)) continue;
      if (line.is === "intent") begins.set(line.call, line.at);
      const began = begins.get(line.call) ?? 0;
      const isOver = (ends.get(line.call) ?? (began < from ? last : from)) < from;
      const isCertain = line.is !== "answer" || began >= since;
      if (!isOver && isCertain) this.#after.take(source, line);
    }
  }

  #takeImages(): void {
    const { before, owed, written } = this.#facts;
    const named = new Map<string, Node[]>();
    const nodeOf = (image: Image, name: RowName): Node => {
      const node = this.#nodes.get(nameOf(name)) ?? new Node(name);
      this.#nodes.set(nameOf(name), node);
      const nodes = listAt(named, keyOf(image));
      if (!nodes.includes(node)) nodes.push(node);
      return node;
    };
    for (const image of before) for (const name of namesOf(image)) nodeOf(image, name).before = image;
    for (const image of owed) for (const name of namesOf(image)) nodeOf(image, name).owed = image;
    // PostgreSQL had nothing, or another row, under the key.
    for (const image of owed)
      for (const node of named.get(keyOf(image)) ?? []) if (node.owed === undefined) node.owed = null;
    for (const image of written) {
      for (const name of namesOf(image)) nodeOf(image, name);
      for (const node of named.get(keyOf(image)) ?? []) node.written.push(image);
    }
  }

  /** Puts rows together that are owed or were written and that cannot come in without each other. */
  #link(): void {
    const concerned = [...this.#nodes.values()].filter((node) => node.isConcerned);
    for (const node of concerned)
      for (const image of node.images) {
        listAt(this.#byKey, keyOf(image)).push(node);
        if (image.table === "teams" && image.row !== null) listAt(this.#byBadge, image.row.badge).push(node);
      }
    for (const together of [...this.#byKey.values(), ...this.#byBadge.values()])
      for (const node of together) node.join(together[0]);
    for (const node of concerned)
      for (const image of node.images)
        for (const parent of this.#parentsOf(image.table, node.name.row, image.row)) node.join(parent);
    for (const node of concerned) if (node.written.length > 0) this.#fated.add(node.group);
    for (const conflict of this.#facts.conflicts)
      for (const node of this.#byKey.get(keyOf(conflict)) ?? []) this.#named.add(node.group);
  }

  /** Of a row's parents those that are owed or were written. */
  #parentsOf(table: string, name: string, row: Row | null): readonly Node[] {
    if (table === "document_collaborators") return this.#byKey.get(`documents ${name.split("/")[0]}`) ?? [];
    const parent = table === "members" ? `teams ${row?.region}/${row?.number}` : `user_profiles ${row?.user_id}`;
    const node = table === "members" || table === "user_analysis_history" ? this.#nodes.get(parent) : undefined;
    return node?.isConcerned === true ? [node] : [];
  }

  /** The row that a call is about, its parents, and the rows that hold the unique values that it gives. */
  #touchedBy({ table, row }: RowName, values: Row): readonly Node[] {
    const node = this.#nodes.get(nameOf({ table, row }));
    const rows = [values, ...(node?.images ?? []).map((image) => image.row)];
    return [
      ...(node === undefined ? [] : [node]),
      ...rows.flatMap((one) => this.#parentsOf(table, row, one)),
      ...(this.#byBadge.get(values.badge) ?? []),
      ...(this.#byKey.get(`${table} ${values.id}`) ?? []),
    ];
  }

  /** Whether the row is there as PostgreSQL had it, under a key that nobody has written on SQLite, and with what calls have made of it since. */
  #hasComeIn({ name, owed }: Node, after: ModelRow | undefined, stored: Values | undefined): boolean {
    if (stored === undefined || owed === null || owed === undefined || owed.row === null) return false;
    if (this.#written.has(keyOf(owed)) || storedKey(name, stored) !== owed.key) return false;
    const then = followedValues(followedTable(name.table), owed.row);
    return Object.entries(stored).every(([column, value]) => {
      const cell = after?.cells.get(column);
      if (value === (then[column] ?? null)) return true;
      if (cell?.how === "add") return isBetween(Number(value) - Number(then[column] ?? 0), 0, cell.sure + cell.unsure);
      return cell?.seen.has(value) === true;
    });
  }
}

/** Clocks are read before and after what they are to time. */
const clockMs = 50;

type Values = Readonly<Record<string, CellValue>>;

function isBetween(value: number, least: number, most: number): boolean {
  return value >= least && value <= most;
}

/** From here on the process takes SQLite to be primary, unless it is told otherwise again. */
function isOnSqliteSince(line: Logged): boolean {
  return line.is === "opened" || (line.is === "event" && line.event === "primary-moved" && line.fields.to === "sqlite");
}

function nameOf({ table, row }: RowName): string {
  return `${table} ${row}`;
}

function keyOf({ table, key }: Image): string {
  return `${table} ${key}`;
}

function namesOf({ table, row }: Image): RowName[] {
  const one = followedTable(table);
  return row === null ? [] : [{ table: one.table, row: one.name(row) }];
}

function knownOf({ table, row }: Image): KnownRow {
  const one = followedTable(table);
  return { table: one.table, row: one.name(row ?? {}), values: followedValues(one, row ?? {}) };
}

/** The key of a stored row as the journal spells it. */
function storedKey({ table, row }: RowName, values: Values): string {
  return table === "teams" ? journalKey(row) : String(values.id);
}

function listAt<K, V>(lists: Map<K, V[]>, key: K): V[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}
