import { setTimeout as delay } from "node:timers/promises";
import type { DualDatabase } from "../../src/database.js";
import { sql } from "../../src/index.js";
import { arm } from "../../src/shadow/arm.js";
import { makeOldBotFile } from "./old-bot.js";
import { speaker, TestPair } from "./pair.js";

/** A pair that nobody mirrors: its rows are owed, and wait for a copy. */
export async function armedPair(rows: number, dirty = false, server?: string): Promise<TestPair> {
  const pair = await TestPair.create(server === undefined ? {} : { server });
  await makeOldBotFile(pair.file, { rows, dirty });
  await (await pair.open("---")).close();
  await arm(await pair.sqlite, pair.postgres, Date.now);
  return pair;
}

/**
 * Eight writers of such a pair that insert, update and delete rows of all kinds until `stop`, which tells how often each has written. With
 * a pause they leave others more of the machine.
 */
export function eightWriters(database: DualDatabase, pauseMs = 0): { stop(): Promise<number[]> } {
  let isOver = false;
  const running = Promise.all(Array.from({ length: 8 }, (_, writer) => write(database, writer, pauseMs, () => isOver)));
  // A failure is met where it is waited for.
  running.catch(() => undefined);
  return {
    stop() {
      isOver = true;
      return running;
    },
  };
}

async function write(database: DualDatabase, writer: number, pauseMs: number, isOver: () => boolean): Promise<number> {
  let writes = 0;
  for (; !isOver(); writes++) {
    if (pauseMs > 0) await delay(pauseMs);
    const user = `20000000000000000${writer}`;
    const id = await database.messageService.saveHumanMessage({ ...speaker, messageContent: `message ${writes}` });
    await database.userProfileService.getOrCreateUserProfile(user, `writer ${writes}`);
    if (writes % 3 === 0) await database.write(sql`DELETE FROM messages WHERE id = ${id}`);
    if (writes % 3 === 1) await database.write(sql`UPDATE messages SET message_content = 'changed' WHERE id = ${id}`);
    const old = `old-message-${(writer * 131 + writes) % 1_500}`;
    if (writes % 4 === 0) await database.write(sql`DELETE FROM messages WHERE id = ${old}`);
    else await database.write(sql`UPDATE messages SET ai_summary = ${`by ${writer}`} WHERE id = ${old}`);
  }
  return writes;
}
