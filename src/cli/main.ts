#!/usr/bin/env node
import { existsSync } from "node:fs";
import { run } from "./program.js";

if (existsSync(".env")) process.loadEnvFile();

/** The first Ctrl-C or request to end asks the command to stop between two steps; the second ends the process. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

run(process.argv.slice(2), {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  interruption,
}).then((status) => {
  process.exitCode = status;
});
