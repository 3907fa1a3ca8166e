#!/usr/bin/env node
import { existsSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { run } from "./program.js";

if (existsSync(".env")) process.loadEnvFile();

// Whoever reads the output may leave before its end, as `head` does: the work goes on, and its exit status counts.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

/** The first Ctrl-C or request to end asks the command to stop between two steps; the second ends the process. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

/** On standard error: standard output belongs to the result. */
async function ask(question: string, signal: AbortSignal | undefined): Promise<string | null> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const left = new AbortController();
  prompt.once("close", () => left.abort());
  signal?.addEventListener("abort", () => left.abort(), { once: true });
  if (signal?.aborted === true) left.abort();
  try {
    return await prompt.question(question, { signal: left.signal });
  } catch {
    return null;
  } finally {
    prompt.close();
  }
}

run(process.argv.slice(2), {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  interruption,
  ask: process.stdin.isTTY && process.stderr.isTTY ? ask : undefined,
}).then((status) => {
  process.exitCode = status;
});
