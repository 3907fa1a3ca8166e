import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

test("a reader that leaves before the end, as head does, changes neither the work nor its status", async () => {
  const command = spawn(process.execPath, [main, "--help"], { stdio: ["ignore", "pipe", "pipe"] });
  command.stdout.destroy();
  const [said, [status]] = await Promise.all([text(command.stderr), once(command, "exit")]);
  expect({ status, said }).toEqual({ status: 0, said: "" });
});
