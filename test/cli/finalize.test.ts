import { describe, expect, test } from "vitest";
import { run } from "../../src/cli/program.js";
import { dualdb } from "../support/asking.js";
import { freshDirectory } from "../support/databases.js";
import type { TestPair } from "../support/pair.js";
import { travelledPair } from "../support/travel.js";

const nameOf = (pair: TestPair) => new URL(pair.url).pathname.slice(1);

const finalize = (...more: readonly string[]) => ["finalize", "--dir", freshDirectory(), ...more];

describe("dualdb finalize", () => {
  test("asks for the name where a person sits, and ends the way back", async () => {
    const pair = await travelledPair("P-S");
    const { status, out, err } = await dualdb(finalize(), pair.env("P-S"), nameOf(pair));
    expect(err).toContain(`(${nameOf(pair)})`);
    expect(out).toMatch(
      /^exported {3}5 rows of .*bot\.db to .*, with checksums\nfinalized {2}postgres:.* goes on alone\n/,
    );
    expect(status).toBe(0);
    const again = await dualdb(finalize("--confirm", nameOf(pair), "--json"), pair.env("P--"));
    expect(again.status).toBe(0);
    expect(JSON.parse(again.out)).toMatchObject({ ok: true, already: true, exported: null });
  });

  test.each([
    ["another name typed", 2, "VALIDATION_FAILED", [], "other"],
    ["nothing typed, but Ctrl-C", 130, "INTERRUPTED", [], null],
    ["nobody there, and no --confirm", 2, "VALIDATION_FAILED", [], undefined],
    ["--tables", 2, "CONFIG_INVALID", ["--tables", "messages", "--confirm", "x"], undefined],
  ])("ends nothing with %s", async (_what, status, code, more, answer) => {
    const pair = await travelledPair("P-S");
    const outcome = await dualdb(finalize(...more), pair.env("P-S"), answer);
    expect(outcome).toMatchObject({ status, out: "" });
    expect(outcome.err).toContain(code);
    expect((await pair.rows("postgres", "SELECT finalized FROM dualdb_state"))[0]?.finalized).toBe(0);
  });

  test("leaves the question when it is interrupted", async () => {
    const pair = await travelledPair("P-S");
    const interrupted = new AbortController();
    const stream = { write: () => undefined };
    const ask = (_question: string, signal: AbortSignal | undefined) =>
      new Promise<null>((resolve) => {
        signal?.addEventListener("abort", () => resolve(null));
        interrupted.abort();
      });
    const terminal = {
      env: pair.env("P-S"),
      stdout: stream,
      stderr: stream,
      interruption: () => interrupted.signal,
      ask,
    };
    expect(await run(finalize(), terminal)).toBe(130);
  });

  test("ends nothing while the gate is closed, and with status 1 where it cannot be told", async () => {
    const pair = await travelledPair("--S");
    const closed = await dualdb(finalize("--confirm", nameOf(pair), "--json"), pair.env("--S"));
    expect(closed.status).toBe(3);
    expect(JSON.parse(closed.out)).toMatchObject({
      ok: false,
      error: { code: "GATE_CLOSED", details: { checks: [{ name: "primary", ok: false }] } },
    });
    const away = { ...pair.env("P-S"), DATABASE_URL: "postgres://u:hunter2@127.0.0.1:1/nothing" };
    const untold = await dualdb(finalize("--confirm", "nothing"), away);
    expect(untold.status).toBe(1);
    expect(untold.err).not.toContain("hunter2");
  });
});
