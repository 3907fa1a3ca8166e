import { setTimeout as sleep } from "node:timers/promises";
import { delayDuring } from "./delay.js";
import { messagesFrom } from "./messages.js";
import { createDatabase } from "./package.js";

/** What the process of a bot that copies writes to its standard output, as JSON: 99.9th percentiles of a timer's delay. */
export interface CopyLoopReport {
  readonly idleMs: number;
  readonly busyMs: number;
  readonly copied: number;
}

const idleForMs = 4_000;
const saveEveryMs = 20;

/** The functions of the package as it is published. */
const { copy } = (await import(
  new URL("../dist/migrate/index.js", import.meta.url).href
)) as typeof import("../src/migrate/index.js");

const database = createDatabase();
await database.open();
const saving = savesUntil();
const idleMs = await delayDuring(() => sleep(idleForMs));
let copied = 0;
const busyMs = await delayDuring(async () => {
  const { tables } = await copy();
  copied = tables.reduce((sum, { written }) => sum + written, 0);
});
saving.end();
await database.close();
process.stdout.write(JSON.stringify({ idleMs, busyMs, copied } satisfies CopyLoopReport));

/** The bot goes on as ever. */
function savesUntil(): { end(): void } {
  const next = messagesFrom(9);
  const timer = setInterval(() => void database.messageService.saveHumanMessage(next()), saveEveryMs);
  return { end: () => clearInterval(timer) };
}
