import type { HumanMessage } from "../src/services/messages.js";

/** A stream of numbers from 0 to 1 that is the same for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Messages as a bot sees them: 1 to 40 words (14 on average) out of 5,000, of which a few are frequent; 50 users, 10 channels. */
export function messagesFrom(seed: number): () => Required<Omit<HumanMessage, "messageId">> {
  const random = randomFrom(seed);
  const vocabulary = Array.from({ length: 5_000 }, () => wordOf(random));
  const word = () => vocabulary[Math.floor(random() ** 3 * vocabulary.length)] ?? "";
  return () => {
    const user = Math.floor(random() * 50);
    const channel = Math.floor(random() * 10);
    return {
      userId: `1000000000000000${String(user).padStart(2, "0")}`,
      username: `user${user}`,
      channelId: `2000000000000000${String(channel).padStart(2, "0")}`,
      channelName: `channel-${channel}`,
      guildId: "300000000000000000",
      sessionId: `session-${user}-${channel}`,
      messageContent: Array.from({ length: 1 + Math.floor(random() ** 2 * 40) }, word).join(" "),
      responseDecision: { shouldRespond: random() < 0.5, confidence: Math.round(random() * 100) / 100, reason: word() },
    };
  };
}

function wordOf(random: () => number): string {
  const length = 3 + Math.floor(random() * 7);
  return Array.from({ length }, () => String.fromCharCode(97 + Math.floor(random() * 26))).join("");
}
