import { run } from "../../src/cli/program.js";
import { unprivileged } from "./postgres-binaries.js";

/** What a command line has written, and its exit status. */
export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  /** How wide standard output is. */
  readonly columns?: number;
  /** Makes standard error a terminal, and is told whatever is written there. */
  readonly onScreen?: (text: string) => void;
}

/** Runs a command line in this process, where nobody sits. */
export async function commandLine(args: readonly string[], surroundings: Surroundings = {}): Promise<Outcome> {
  const { env = {}, signal = new AbortController().signal, columns, onScreen } = surroundings;
  const written = { out: "", err: "" };
  const stdout = { columns, write: (text: string) => (written.out += text) };
  const stderr = {
    isTTY: onScreen !== undefined,
    columns: 100,
    write(text: string) {
      written.err += text;
      onScreen?.(text);
      return true;
    },
  };
  const status = await run(args, { env, stdout, stderr, interruption: () => signal });
  return { status, ...written };
}

/** Without root's right to read and write everything. Whatever the work loads late must have been loaded before. */
export async function unprivilegedly<T>(work: () => Promise<T>): Promise<T> {
  if (unprivileged.uid === undefined) return work();
  process.seteuid?.(unprivileged.uid);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}
