import { recordRun } from "../../src/migrate/runs.js";
import { speaker, TestPair } from "./pair.js";

/** A pair that the bot has been on with these flags, with some rows of three tables, drained, verified, and left alone. */
export async function travelledPair(letters = "--S"): Promise<TestPair> {
  const pair = await TestPair.create();
  const bot = await pair.open(letters);
  for (const words of ["seven quick brown foxes", "jump over lazy hounds", "somewhere behind mountains"])
    await bot.messageService.saveHumanMessage({ ...speaker, messageContent: words });
  await bot.documentService.createDocument({ title: "plan", createdBy: speaker.userId });
  await bot.drain();
  await bot.close();
  await verified(pair);
  return pair;
}

/** The package's tables. */
export const ownTables = [
  "document_collaborators",
  "documents",
  "messages",
  "queries",
  "user_analysis_history",
  "user_profiles",
] as const;

/** Remembers a verify that has found both sides equal, so many milliseconds ago. */
export async function verified(pair: TestPair, agoMs = 0, compared: readonly string[] = ownTables): Promise<void> {
  const at = Date.now() - agoMs;
  const facts = { tables: compared === ownTables ? null : compared, compared, differing: [] };
  const run = { command: "verify", outcome: "done", beganAt: at, endedAt: at, facts } as const;
  if (!(await recordRun(pair.postgres, run))) throw new Error("the databases are no pair");
}
