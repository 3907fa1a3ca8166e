import { parseArgs } from "node:util";

export interface Arguments {
  readonly seed: number;
  /** A chat log to play; null for made-up talk. */
  readonly chat: string | null;
  /** Steps as short as they can be. */
  readonly quick: boolean;
}

/** Wrong usage; the message says what. */
export class UsageError extends Error {}

export const usage = `npm run demo -- [--seed N] [--chat FILE] [--quick]

  --seed N     the same traffic as in another run
  --chat FILE  traffic from a chat log, one JSON object per line:
               userId, username, channelId, channelName, content (text), timestamp (milliseconds)
  --quick      shorter steps, fewer rows and messages`;

/** null: help was asked for. */
export function readArguments(given: readonly string[]): Arguments | null {
  const { seed, chat = null, quick = false, help } = parse(given);
  if (help) return null;
  if (seed !== undefined && !/^\d{1,9}$/.test(seed))
    throw new UsageError("--seed must be a whole number of up to 9 digits");
  return { seed: seed === undefined ? Math.floor(Math.random() * 1e9) : Number(seed), chat, quick };
}

function parse(given: readonly string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    return parseArgs({ args: [...given], options: { seed: text, chat: text, quick: flag, help: flag } }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
