import { setTimeout as sleep } from "node:timers/promises";
import { Actor, type ActorParts } from "./actor.js";
import { type AddedColumn, AddedColumns } from "./added-columns.js";
import { set } from "./caller.js";
import { Documents } from "./documents.js";
import { Messages } from "./messages.js";
import { Profiles } from "./profiles.js";
import { Queries } from "./queries.js";
import { Teams } from "./teams.js";

/** A user of the bot: one call after the other, chosen by chance. */
export class Lane {
  readonly #actor: Actor;
  readonly #messages: Messages;
  readonly #doings: readonly { readonly weight: number; readonly run: () => Promise<void> }[];

  constructor(parts: ActorParts, columns: readonly AddedColumn[]) {
    this.#actor = new Actor(parts);
    this.#messages = new Messages(this.#actor);
    this.#doings = this.#everything(columns);
  }

  async run(isOver: () => boolean): Promise<void> {
    const { random, caller } = this.#actor.parts;
    while (!isOver()) {
      const before = caller.answered.writes;
      await random.weighted(this.#doings).run();
      await sleep(caller.answered.writes > before ? random.whole(0, 6) : random.whole(2, 20));
    }
  }

  /** Does nothing but read what others have written, so that a process that has been left behind is asked at once. */
  async watch(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await this.#messages.checkPeers();
      await sleep(this.#actor.parts.random.whole(3, 12));
    }
  }

  #everything(columns: readonly AddedColumn[]) {
    const messages = this.#messages;
    const queries = new Queries(this.#actor);
    const documents = new Documents(this.#actor);
    const profiles = new Profiles(this.#actor);
    const teams = new Teams(this.#actor);
    const added = new AddedColumns(this.#actor, columns);
    return [
      { weight: 6, run: () => messages.save() },
      { weight: 1, run: () => messages.delete() },
      { weight: 2, run: () => messages.checkOne() },
      { weight: 2, run: () => messages.checkAll() },
      { weight: 3, run: () => messages.checkPeers() },
      { weight: 1, run: () => queries.save() },
      { weight: 1, run: () => queries.check() },
      { weight: 2, run: () => documents.create() },
      { weight: 3, run: () => documents.update() },
      { weight: 2, run: () => documents.updateTwo() },
      { weight: 1, run: () => documents.delete() },
      { weight: 3, run: () => documents.addCollaborator() },
      { weight: 2, run: () => documents.removeCollaborator() },
      { weight: 2, run: () => documents.check() },
      { weight: 1, run: () => documents.checkList() },
      { weight: 2, run: () => documents.checkCollaborators() },
      { weight: 2, run: () => profiles.getOrCreate() },
      { weight: 2, run: () => profiles.update() },
      { weight: 5, run: () => profiles.increment() },
      { weight: 2, run: () => profiles.saveAnalysis() },
      { weight: 1, run: () => profiles.create() },
      { weight: 1, run: () => profiles.replace() },
      { weight: 1, run: () => profiles.replaceAndDelete() },
      { weight: 1, run: () => profiles.rekey() },
      { weight: 1, run: () => profiles.swap() },
      { weight: 1, run: () => profiles.delete() },
      { weight: 2, run: () => profiles.check() },
      { weight: 2, run: () => teams.found() },
      { weight: 2, run: () => teams.join() },
      { weight: 3, run: () => teams.swap() },
      { weight: 1, run: () => teams.inherit() },
      { weight: 1, run: () => teams.disband() },
      { weight: 1, run: () => teams.check() },
      { weight: 4, run: () => added.write() },
      { weight: 2, run: () => added.check() },
      { weight: 1, run: () => this.#writeDirectly() },
    ];
  }

  /** A console that knows nothing of the package: where the side is not primary it must be refused. */
  async #writeDirectly(): Promise<void> {
    const { caller, direct, random } = this.#actor.parts;
    const side = random.pick(["sqlite", "postgres"] as const);
    if (!direct.sides.includes(side)) return;
    const name = this.#actor.name();
    const user = "900000000000000009";
    const effects = set("messages", name, { $: true, id: name, message_content: name, user_id: user });
    const work = () => direct.insertMessage(side, name, user);
    await caller.call({ name: `console on ${side}`, via: `console on ${side}`, effects, work });
  }
}
