import { readFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import type { Figure } from "./harness.js";
import { rawSqlite } from "./raw.js";
import type { Scene } from "./scene.js";

/** Where and with what the figures were measured, as lines. */
export async function circumstances(scene: Scene): Promise<string[]> {
  const processors = cpus();
  const client = await rawSqlite(":memory:");
  const { rows } = await client.execute("SELECT sqlite_version() AS version");
  client.close();
  const memory = Math.round(totalmem() / 2 ** 30);
  return [
    `${new Date().toISOString().slice(0, 10)}${scene.quick ? ", a quick run" : ""}`,
    `${processors[0]?.model.trim()}, ${processors.length} cores, ${memory} GB, ${type()} ${release()}, ${process.arch}`,
    `Node ${process.versions.node}, PostgreSQL ${scene.server.version}, SQLite ${rows[0]?.version}`,
    `dualdb ${versionOf("..")}, @libsql/client ${versionOf("../node_modules/@libsql/client")}, pg ${versionOf("../node_modules/pg")}`,
    "fsync on; SQLite with synchronous=FULL in WAL mode",
  ];
}

/** The figures as a table in Markdown, its columns aligned. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map(({ measure, measured, target, met, detail }) => [
    measure,
    measured,
    target,
    met ? "yes" : "NO",
    detail,
  ]);
  const all = [["measure", "measured", "target", "met", "made of"], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [line(all[0] ?? []), rule, ...rows.map(line)].join("\n");
}

/** The document that is kept. */
export function documentOf(lines: readonly string[], figures: readonly Figure[]): string {
  const introduction =
    "Written by `npm run bench -- --write`. Each ratio compares two ways to do the same thing within one run, in blocks that alternate; it is the median of the blocks' ratios.";
  return `# Benchmark\n\n${introduction}\n\n${lines.map((text) => `- ${text}`).join("\n")}\n\n${table(figures)}\n`;
}

function versionOf(folder: string): string {
  const text = readFileSync(new URL(`${folder}/package.json`, import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
