#!/usr/bin/env node
import { existsSync } from "node:fs";
import { run } from "./program.js";

if (existsSync(".env")) process.loadEnvFile();

run(process.argv.slice(2), { env: process.env, stdout: process.stdout, stderr: process.stderr }).then((status) => {
  process.exitCode = status;
});
