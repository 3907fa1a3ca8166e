import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Everything that the demo leaves behind would be in here. */
const scratch = mkdtempSync(path.join(tmpdir(), "dualdb-demo-test-"));
// The server runs as another user where this one is root.
chmodSync(scratch, 0o755);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A quick run takes 20 s on two idle cores, and several times as long on busy ones. */
const limitMs = 600_000;

interface Run {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
  /** What was left in the temporary directory. */
  readonly left: readonly string[];
}

describe("npm run demo", () => {
  test("takes a bot to PostgreSQL and back, and loses nothing", { timeout: limitMs }, async () => {
    const { status, output, errors, left } = await demo(["--quick", "--seed", "7"]);
    expect(errors).toBe("");
    expect(output).toContain("seed 7");
    for (const step of titles) expect(output).toContain(step);
    expect(output).toMatch(/PostgreSQL +[\d,]+ +\d+/);
    expect(output.match(/equal$/gm)).toHaveLength(6);
    expect(output).toContain("calls that failed: 0");
    expect(output).toContain("reads that missed an acknowledged write: 0");
    expect(output).toContain("acknowledged writes lost: 0");
    // How long it has taken is for who looks at it: under two minutes, where nothing else is going on.
    expect(output).toMatch(/both databases hold the same {2}\d+ s$/m);
    expect(output).not.toContain("\u001b[");
    expect({ status, left }).toEqual({ status: 0, left: [] });
  });

  test("plays a chat log from its beginning, as often as it takes", { timeout: limitMs }, async () => {
    const { status, output } = await demo(["--quick", "--seed", "7", "--chat", chatFile(5)]);
    expect(output).toContain("2 users in 1 channel ");
    expect(output).toContain("acknowledged writes lost: 0");
    expect(status).toBe(0);
  });

  test("stops when it is asked to, and leaves nothing behind", { timeout: limitMs }, async () => {
    let askedAt = 0;
    const { status, output, left } = await demo(["--quick"], (child, text) => {
      if (!text.includes(titles[2])) return;
      askedAt = Date.now();
      child.kill("SIGINT");
    });
    expect(Date.now() - askedAt).toBeLessThan(10_000);
    expect(output).toContain("stopped");
    expect({ status, left }).toEqual({ status: 130, left: [] });
  });

  test.each([
    ["not JSON", "{", "is not JSON"],
    ["an id as a number", JSON.stringify({ ...chat(0), userId: 12 }), "userId must be text"],
    ["a missing field", JSON.stringify({ ...chat(0), content: undefined }), "content must be text"],
    ["a time that is none", JSON.stringify({ ...chat(0), timestamp: "now" }), "timestamp must be a whole number"],
  ])("refuses a chat log with %s, naming the line", async (_name, line, reason) => {
    const file = path.join(scratch, "bad.jsonl");
    writeFileSync(file, `${JSON.stringify(chat(0))}\n\n${line}\n`);
    const { status, errors } = await demo(["--chat", file]);
    expect(errors).toContain("bad.jsonl, line 3: ");
    expect(errors).toContain(reason);
    expect(status).toBe(2);
  });

  test.each([
    ["a chat log that is not there", ["--chat", "/nowhere.jsonl"], "/nowhere.jsonl cannot be read (ENOENT)"],
    ["a seed that is no number", ["--seed", "x"], "--seed must be a whole number"],
    ["an unknown option", ["--sede", "1"], "--sede"],
  ])("refuses %s", async (_name, options, reason) => {
    const { status, errors } = await demo(options);
    expect(errors).toContain(reason);
    expect(status).toBe(2);
  });
});

const titles = [
  "A bot on SQLite",
  "PostgreSQL gets its tables",
  "PostgreSQL follows; the old rows are owed",
  "PostgreSQL crashes, and comes back",
  "PostgreSQL answers reads",
  "PostgreSQL becomes primary",
  "The bot is killed",
  "PostgreSQL alone",
  "Back to SQLite",
  "PostgreSQL follows once more",
  "Both databases, row by row",
] as const;

async function demo(options: readonly string[], watch?: (child: ChildProcess, text: string) => void): Promise<Run> {
  const temporary = mkdtempSync(path.join(scratch, "tmp-"));
  chmodSync(temporary, 0o755);
  // tsx's own command ends a script that does not answer a signal at once.
  const child = spawn(process.execPath, ["--import", "tsx", "examples/demo/main.ts", ...options], {
    cwd: root,
    env: {
      ...process.env,
      TSX_TSCONFIG_PATH: "examples/tsconfig.json",
      TMPDIR: temporary,
      USE_POSTGRES_PRIMARY: "true",
      DATABASE_URL: "postgres://nobody@127.0.0.1:1/x",
    },
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (text) => {
    output += text;
    watch?.(child, String(text));
  });
  child.stderr.on("data", (text) => {
    errors += text;
  });
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  const left = existsSync(temporary) ? readdirSync(temporary).filter((name) => name.startsWith("dualdb-")) : [];
  return { status, output, errors, left };
}

function chat(number: number) {
  return {
    userId: `60000000000000000${number % 2}`,
    username: `user${number % 2}`,
    channelId: "700000000000000000",
    channelName: "general",
    content: number === 0 ? "it's \u0000 \ud83d 日本語" : `message ${number}`,
    timestamp: 1_700_000_000_000 + number,
  };
}

function chatFile(messages: number): string {
  const file = path.join(scratch, "chat.jsonl");
  writeFileSync(
    file,
    `\uFEFF${Array.from({ length: messages }, (_, index) => JSON.stringify(chat(index))).join("\r\n")}`,
  );
  return file;
}
