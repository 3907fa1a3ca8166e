import { setTimeout as sleep } from "node:timers/promises";
import { createDatabase, type Status } from "dualdb";
import { CallLog } from "./call-log.js";
import type { ChatMessage, Extra, News, Order, Report } from "./protocol.js";

/**
 * The bot: a process of its own, which knows nothing of any migration. It takes chat messages from the demo as it would take them from
 * Discord, and is configured by its environment alone.
 */
const database = createDatabase();
const { documentService, messageService, queryService, userProfileService } = database;
const log = new CallLog(process.argv[2] ?? "calls.log");
const working = new Set<Promise<void>>();
const reportEveryMs = 150;
const guest = "400000000000000001";
let stopping = false;

process.on("message", (order: Order) => {
  if (order.kind === "stop") void stop();
  else begin(order.message, order.extra);
});
process.on("disconnect", () => process.exit(stopping ? 0 : 1));
// The demo may have gone before anybody listened.
if (!process.connected) process.exit(1);
// Ctrl-C in a terminal reaches every process of the group: the demo tells its bots what to do.
process.on("SIGINT", () => undefined);

await database.open();
tell({ kind: "open" });
void report();

function begin(message: ChatMessage, extra: Extra): void {
  const work = handle(message, extra).finally(() => working.delete(work));
  working.add(work);
}

async function handle(message: ChatMessage, extra: Extra): Promise<void> {
  const { userId, username } = message;
  await log.save(
    "user_profiles",
    async () => (await userProfileService.getOrCreateUserProfile(userId, username)).user_id,
  );
  const id = await log.save("messages", () =>
    messageService.saveHumanMessage({ ...placeOf(message), messageContent: message.content }),
  );
  await log.count("user_profiles", userId, () => userProfileService.incrementMessageCount(userId));
  if (id !== null) await log.find("messages", id, () => messageService.getMessageById(id));
  await extras[extra](message);
}

const extras: Record<Extra, (message: ChatMessage) => Promise<unknown>> = {
  nothing: async () => undefined,
  reply: (message) =>
    log.save("messages", () =>
      messageService.saveAIMessage({ ...placeOf(message), messageContent: `Noted, ${message.username}.` }),
    ),
  query: ({ userId, username, content }) =>
    log.save("queries", () =>
      queryService.saveQuery({ userId, username, queryText: content, queryResult: [], resultCount: 0 }),
    ),
  document: edit,
};

/** A document that is shared and edited; every second one is thrown away again. */
async function edit({ userId, username, content }: ChatMessage): Promise<void> {
  const title = `Notes of ${username}`;
  const id = await log.save(
    "documents",
    async () => (await documentService.createDocument({ title, createdBy: userId })).id,
  );
  if (id === null) return;
  await log.change("documents", id, () => documentService.updateDocumentContent(id, content));
  await log.change("documents", id, () => documentService.addCollaborator({ documentId: id, userId: guest }));
  if (content.length % 2 === 0) await log.delete("documents", id, () => documentService.deleteDocument(id));
}

function placeOf({ userId, username, channelId, channelName }: ChatMessage) {
  return { userId, username, channelId, channelName };
}

async function stop(): Promise<void> {
  stopping = true;
  await Promise.all(working);
  await database.close();
  process.disconnect();
}

async function report(): Promise<void> {
  while (!stopping) {
    const at = Date.now();
    tell({ kind: "report", report: reportOf(at, await database.status()) });
    await sleep(reportEveryMs);
  }
}

function reportOf(at: number, status: Status): Report {
  const side = status[status.primary];
  const isKnown = side?.reachable === true && status.sqlite?.reachable === true && status.sqlite.state.pairId !== null;
  return {
    at,
    primary: status.primary,
    owed: isKnown ? side.journal.entries : null,
    refused: side?.reachable
      ? side.refused.map(({ table, key, lastError }) => ({ table, key, reason: lastError ?? "" }))
      : [],
    failure: status.relay?.lastError?.message ?? null,
    reads: status.reads,
  };
}

function tell(news: News): void {
  if (process.connected) process.send?.(news);
}
