import { setTimeout as sleep } from "node:timers/promises";
import type { Side } from "../../src/engines/engine.js";
import type { Flags } from "../../src/route.js";
import { quarantineAfter } from "../../src/shadow/journal.js";
import type { FaultPoint } from "../../src/shadow/mirror.js";
import { set } from "./caller.js";
import { Missed, Scene } from "./scene.js";
import type { Stage } from "./stage.js";
import { plain } from "./statements.js";

/**
 * Situations that chance meets too seldom: each puts two bots, their lanes still, into a state in which one rule of the protocol is what
 * keeps the data right. What comes of it shows in the reads of the drill, and in the comparison at the round's end. `side` is where the
 * drill begins, or which of its two ways it takes.
 */
export const drills: Readonly<Record<string, (scene: Scene, side: Side) => Promise<void>>> = {
  "left-behind": leftBehind,
  "late relay": lateRelay,
  "touched again": touchedAgain,
  "late entry": lateEntry,
  "open transaction": openTransaction,
  "refused once": refusedOnce,
  quarantine,
  "forced recovery": forcedRecovery,
};

/** Long enough for a pass that goes on. */
const afterwardsMs = 150;
const passMs = 20;

/** Plays a drill. Tells whether it came to its point. */
export async function playDrill(stage: Stage, name: string, side: Side): Promise<boolean> {
  const drill = drills[name];
  if (drill === undefined) throw new Error(`no drill ${name}`);
  const scene = await Scene.open(stage);
  try {
    await drill(scene, side);
    return true;
  } catch (error) {
    if (!(error instanceof Missed)) throw error;
    return false;
  } finally {
    await scene.close();
  }
}

function flags(side: Side, shadow: boolean, read = false): Flags {
  return { primary: side === "postgres", read, shadow };
}

function other(side: Side): Side {
  return side === "postgres" ? "sqlite" : "postgres";
}

/** Bot 0 with these flags, and bot 1 not running. */
async function alone(scene: Scene, its: Flags): Promise<void> {
  await scene.stage.stop(1);
  await scene.stage.open(0, its);
}

/** Has bot 0's relay stand at that point with the rows in hand that `work` has changed. */
async function catchRelay(scene: Scene, point: FaultPoint, work: () => Promise<unknown>): Promise<void> {
  const held = scene.hold(0, point);
  await work();
  await scene.within(`a relay ${point}`, held);
}

/** One process moves the primary and acknowledges a write; one that has not noticed is asked for it. Nothing mirrors. */
async function leftBehind(scene: Scene, side: Side): Promise<void> {
  const { stage } = scene;
  const its = (to: Side) => flags(to, false, to === "sqlite" && side === "sqlite");
  for (const slot of [0, 1]) await stage.open(slot, its(side));
  for (const [mover, to] of [[0, other(side)] as const, [1, side] as const]) {
    await stage.open(mover, its(to));
    await scene.expectMessage(1 - mover, await scene.newMessage(mover));
  }
}

/** A relay has read a row, loses the lock unnoticed, and applies it after another one has mirrored a newer version. */
async function lateRelay(scene: Scene, side: Side): Promise<void> {
  const { stage } = scene;
  await alone(scene, flags(side, true));
  const id = await scene.newMessage(0);
  await scene.carried();
  await catchRelay(scene, "after-read", () => scene.changeMessage(0, id));
  stage.cut(0);
  await stage.open(1, flags(side, true));
  const newest = await scene.changeMessage(1, id);
  await scene.until("the newer row mirrored", async () => (await scene.contentOf(other(side), id)) === newest);
  stage.resume(0);
  await sleep(afterwardsMs);
}

/** A relay has mirrored a row, another one removes its entry, and the row changes before the first relay removes that entry too. */
async function touchedAgain(scene: Scene, side: Side): Promise<void> {
  const { stage } = scene;
  await alone(scene, flags(side, true));
  const id = await scene.newMessage(0);
  await scene.carried();
  await catchRelay(scene, "before-acknowledge", () => scene.changeMessage(0, id));
  await stage.open(1, flags(side, true));
  await scene.until("the entry removed", async () => (await scene.owed(side)) === 0);
  await stage.stop(1);
  await scene.changeMessage(0, id);
  stage.resume(0);
  await sleep(afterwardsMs);
}

/**
 * On its way to SQLite a process comes to a stop before the last step, and loses the lock; PostgreSQL becomes primary again; then the step
 * is taken after all.
 */
async function lateEntry(scene: Scene): Promise<void> {
  const { stage } = scene;
  await alone(scene, flags("postgres", true));
  await scene.newMessage(0);
  await scene.carried();
  let opened = Promise.resolve();
  await scene.whileWriting(async () => {
    ({ opened } = stage.launch(0, flags("sqlite", true)));
    const lastLook = "state = 'idle in transaction' AND query LIKE 'SELECT 1 AS one FROM dualdb_journal%'";
    await scene.until("the last step", async () => (await scene.hasSession(lastLook)) && (await halfway(scene)));
    stage.freeze(0);
    stage.cut(0);
  });
  await stage.open(1, flags("postgres", false));
  const id = await scene.newMessage(1);
  stage.thaw(0);
  await opened;
  await scene.expectMessage(0, id);
}

async function halfway(scene: Scene): Promise<boolean> {
  return (await scene.primaryOf("postgres")) === "sqlite";
}

/** A writer past the package has passed PostgreSQL's trigger, and commits after the primary has begun to move. */
async function openTransaction(scene: Scene): Promise<void> {
  const { stage } = scene;
  await alone(scene, flags("postgres", stage.random.chance(0.5)));
  const { id, commit } = await scene.openTransaction();
  const { opened } = stage.launch(1, flags("sqlite", stage.random.chance(0.5)));
  let isOpen = false;
  opened.then(() => {
    isOpen = true;
  });
  const isWaiting = "wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'";
  await scene.until("the flip", async () => isOpen || (await scene.hasSession(isWaiting)));
  await commit();
  await opened;
  await scene.expectMessage(1, id);
}

/** A row is refused, and mended before the refusal is written down. */
async function refusedOnce(scene: Scene): Promise<void> {
  const { stage } = scene;
  await alone(scene, flags("sqlite", true));
  const team = await scene.newTeam(0);
  await scene.carried();
  scene.expectRefusal(team);
  await catchRelay(scene, "before-acknowledge", () => scene.score(0, { [team]: 2 ** 40 }));
  await scene.score(0, { [team]: 2 });
  await scene.whileLocked(async () => {
    stage.resume(0);
    await scene.until("the refusal", () => scene.hasLogged(0, "refused"));
    const refusals = await scene.refusals(team);
    if (refusals !== 0) scene.wrong("different", `team ${team} is mended, and its entry bears ${refusals} refusals`);
  });
  await scene.carried();
}

/** Rows that PostgreSQL refuses are quarantined: reads and flips have to mind them all the same, and their neighbours go on. */
async function quarantine(scene: Scene): Promise<void> {
  const { stage } = scene;
  await alone(scene, flags("sqlite", true, true));
  const [negative, large, neighbour] = [await scene.newTeam(0), await scene.newTeam(0), await scene.newTeam(0)];
  await scene.carried();
  const refused = { [negative]: -1, [large]: 2 ** 40 };
  for (const team of [negative, large]) scene.expectRefusal(team);
  await scene.score(0, { ...refused, [neighbour]: 3 });
  const expectThem = async () => {
    for (const [team, score] of Object.entries(refused)) await scene.expectScore(0, team, score);
  };
  try {
    for (const team of [negative, large]) await untilQuarantined(scene, team);
    await scene.until("everything else carried", async () => (await scene.owed("sqlite")) === 2);
    await expectThem();
    await stage.open(1, flags("postgres", true));
    await expectThem();
  } finally {
    await stage.stop(1);
    await scene.score(0, { [negative]: 4, [large]: 4 });
  }
  await scene.carried();
}

/** Every pass tries the row again, until it has been refused so often that it holds nobody up. */
async function untilQuarantined(scene: Scene, team: string): Promise<void> {
  await scene.until("the quarantine", async () => {
    if (Number(await scene.refusals(team)) >= quarantineAfter) return true;
    await scene.newMessage(0);
    await sleep(passMs);
    return false;
  });
}

/** Both sides have written the same row around a forced roll-back; until PostgreSQL's rows are in, SQLite has to answer every read. */
async function forcedRecovery(scene: Scene): Promise<void> {
  const { stage } = scene;
  const userId = `39${scene.user.slice(2)}`;
  const profile = scene.name();
  const insertProfile = plain(
    "INSERT INTO user_profiles (id, user_id, username, first_seen_at, last_interaction_at) VALUES (?, ?, ?, 1, 2)",
    profile,
    userId,
    profile,
  );
  await alone(scene, flags("postgres", true));
  const message = await scene.newMessage(0);
  const effects = set("user_profiles", userId, { $: true, id: profile, username: profile });
  await scene.write(0, "newProfile", effects, insertProfile);
  await scene.carried();
  await stage.open(0, flags("postgres", false));
  const analysis = scene.name();
  const insertAnalysis = plain(
    "INSERT INTO user_analysis_history (id, user_id, analysis_timestamp, changes_summary) VALUES (?, ?, 1, ?)",
    analysis,
    userId,
    analysis,
  );
  const inserted = set("user_analysis_history", analysis, { $: true, id: analysis, user_id: userId });
  await scene.write(0, "newAnalysis", inserted, insertAnalysis);
  await scene.changeMessage(0, message);
  stage.link(0, false);
  await stage.open(0, flags("sqlite", true, true), "kill");
  await scene.changeMessage(0, message);
  const gone = [...set("user_profiles", userId, { $: false }), ...set("user_analysis_history", analysis, { $: false })];
  await scene.write(0, "deleteProfile", gone, plain("DELETE FROM user_profiles WHERE user_id = ?", userId));
  await scene.whileLocked(async () => {
    stage.link(0, true);
    for (let look = 0; look < 3; look++) {
      const analyses = await stage.ask(0, { to: "analyses", userId });
      if (analyses.length > 0) scene.wrong("stale", `an analysis of ${userId}, whose profile has been deleted`);
    }
  });
}
