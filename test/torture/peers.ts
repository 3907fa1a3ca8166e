import { closeSync, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import path from "node:path";
import { type Logged, readLog } from "./log.js";
import type { Random } from "./random.js";

export interface PeerMessage {
  readonly id: string;
  readonly name: string;
  readonly file: string;
}

const tailBytes = 8_192;

/** What the other bots have acknowledged, as their logs tell. */
export class Peers {
  readonly #directory: string;
  readonly #own: string;

  constructor(directory: string, own: string) {
    this.#directory = directory;
    this.#own = own;
  }

  /** The message that one of the other processes has saved last. */
  latestMessage(random: Random): PeerMessage | null {
    const files = readdirSync(this.#directory).filter((file) => !file.startsWith(this.#own));
    if (files.length === 0) return null;
    const file = random.pick(files.sort());
    for (const line of tail(path.join(this.#directory, file)).reverse()) {
      const id =
        line.is === "answer"
          ? line.effects.find(({ table, column }) => table === "messages" && column === "id")
          : undefined;
      if (id !== undefined) return { id: String(id.value), name: id.row, file };
    }
    return null;
  }

  /** Whether its owner has set about deleting it. */
  mayBeGone({ name, file }: PeerMessage): boolean {
    const slot = file.split("-")[0] ?? file;
    const logs = readdirSync(this.#directory).filter((other) => other.startsWith(`${slot}-`));
    return logs
      .flatMap((log) => readLog(path.join(this.#directory, log)))
      .some((line) => line.is === "intent" && line.effects.some(({ row, value }) => row === name && value === false));
  }
}

function tail(file: string): Logged[] {
  const descriptor = openSync(file, "r");
  try {
    const { size } = fstatSync(descriptor);
    const start = Math.max(0, size - tailBytes);
    const bytes = Buffer.alloc(size - start);
    readSync(descriptor, bytes, 0, bytes.length, start);
    const lines = bytes
      .toString("utf8")
      .split("\n")
      .slice(start === 0 ? 0 : 1, -1);
    return lines.map((line) => JSON.parse(line) as Logged);
  } finally {
    closeSync(descriptor);
  }
}
