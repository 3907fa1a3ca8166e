// A small bot: three users talk, and it keeps what they say.
import { setTimeout as sleep } from "node:timers/promises";
import { createDatabase } from "dualdb";

const database = createDatabase(); // SQLITE_DB_PATH, DATABASE_URL and the flags are read when it opens
const { messageService, userProfileService } = database;

const channel = { channelId: "200000000000000001", channelName: "general" };
const users = [
  { userId: "100000000000000001", username: "ann" },
  { userId: "100000000000000002", username: "bo" },
  { userId: "100000000000000003", username: "cleo" },
];

async function talk() {
  for (const user of users) {
    await userProfileService.getOrCreateUserProfile(user.userId, user.username);
    await messageService.saveHumanMessage({ ...user, ...channel, messageContent: `It is ${new Date().toISOString()}` });
    await userProfileService.incrementMessageCount(user.userId);
  }
}

async function printCounts() {
  const counts = [];
  for (const { userId, username } of users) {
    counts.push(`${username} ${await messageService.getMessageCount({ userId })}`);
  }
  const { effective, primary, [primary]: side } = await database.status();
  const owed = side?.reachable ? side.journal.entries : "?";
  console.log(`${effective}: ${counts.join(", ")}; primary ${primary}, owed to the other side ${owed}`);
}

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
while (!stop.signal.aborted) {
  await talk().then(printCounts).catch(console.error);
  await sleep(1_000, undefined, { signal: stop.signal }).catch(() => {});
}
await database.close();
