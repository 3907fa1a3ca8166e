import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  // The samples of the documents import the package by its name.
  resolve: { alias: [{ find: /^dualdb\/http$/, replacement: fileURLToPath(new URL("src/http.ts", import.meta.url)) }] },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global.ts"],
    pool: "forks",
    // Most of the time is spent waiting for servers to start, to crash or to say nothing: more files at once than there are cores.
    maxWorkers: 3,
    // Long enough for a machine that is busy with other things: what hangs is met all the same.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
  },
});
