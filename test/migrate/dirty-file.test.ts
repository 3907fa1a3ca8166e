import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { run } from "../../src/cli/program.js";
import type { CopyReport } from "../../src/migrate/copy.js";
import type { DoctorReport } from "../../src/migrate/doctor.js";
import type { Reject } from "../../src/migrate/rejects.js";
import type { Difference } from "../../src/migrate/verify/table.js";
import type { VerifyReport } from "../../src/migrate/verify.js";
import { freshDirectory, freshSqlite } from "../support/databases.js";
import {
  applicationTables,
  arrivedRows,
  changes,
  expectedRows,
  type Flaw,
  flaws,
  makeDirtyFile,
  refusals,
  storedFrom,
  storedRows,
  tables,
} from "../support/dirty-file.js";
import { TestPair, until } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { Recorder } from "../support/recorder.js";

const made = { file: "" };

beforeAll(async () => {
  made.file = freshSqlite();
  await makeDirtyFile(made.file);
});

/** The dirty file, a PostgreSQL with all its tables, and the command line between them. */
async function withDirtyFile() {
  const pair = await TestPair.create();
  copyFileSync(made.file, pair.file);
  await runAt(pair.url, applicationTables);
  const rejects = join(freshDirectory(), "rejects");
  const databases = ["--sqlite", pair.file, "--pg", pair.url, "--json"];
  return {
    pair,
    rejects,
    doctor: () => dualdb<DoctorReport>(["doctor", ...databases]),
    copy: (...more: string[]) => dualdb<CopyReport>(["copy", ...databases, "--rejects", rejects, ...more]),
    verify: () => dualdb<VerifyReport>(["verify", ...databases]),
  };
}

async function dualdb<Report>(args: readonly string[]): Promise<{ status: number; report: Report }> {
  const written = { out: "", err: "" };
  const stream = (name: "out" | "err") => ({
    write(text: string) {
      written[name] += text;
    },
  });
  const interruption = () => new AbortController().signal;
  const status = await run(args, { env: {}, stdout: stream("out"), stderr: stream("err"), interruption });
  return { status, report: JSON.parse(written.out) as Report };
}

/** Reasons without the name of the constraint or the code behind them. */
const plain = (reason: string) => reason.replace(/ \([\w, ]+\)$/, "");
const rowOf = ({ table, key }: Pick<Flaw, "table" | "key">) => `${table} ${key}`;
const said = ({ table, key, column, action, reason }: Omit<Flaw, "arrives">) =>
  `${table} ${key} ${column} ${action}: ${plain(reason)}`;
/** In the words of who has met the refusal, who may not know the column. */
const met = (flaw: Pick<Flaw, "table" | "key" | "reason">) => `${flaw.table} ${flaw.key}: ${plain(flaw.reason)}`;
const refusedRows = refusals.map(rowOf).sort();
const copiedAs = refusals
  .map((flaw) => said({ ...flaw, reason: flaw.copiedWith ?? flaw.refusedWith ?? flaw.reason }))
  .sort();
const mirroredAs = refusals
  .map((flaw) => ({ ...flaw, column: flaw.isUnplaced === true ? "" : flaw.column }))
  .map((flaw) => said({ ...flaw, reason: flaw.refusedWith ?? flaw.reason }))
  .sort();
const refusedWith = refusals.map((flaw) => met({ ...flaw, reason: flaw.refusedWith ?? flaw.reason })).sort();

/** What a report says of each single row. */
function each(groups: DoctorReport["findings"]): Flaw[] {
  return groups.flatMap(({ keys, count, ...finding }) => {
    expect(keys).toHaveLength(count);
    return keys.map((key) => ({ ...finding, key }));
  });
}

function findingsOf({ tables: copied }: CopyReport): Flaw[] {
  return copied.flatMap(({ table, findings }) => each(findings.map((finding) => ({ ...finding, table }))));
}

function rejectsIn(folder: string): Reject[] {
  const files = existsSync(folder) ? readdirSync(folder) : [];
  return files.flatMap((file) => {
    const lines = readFileSync(join(folder, file), "utf8").trimEnd().split("\n");
    return lines.map((line) => JSON.parse(line) as Reject);
  });
}

const differencesOf = (report: VerifyReport): Difference[] => report.tables.flatMap(({ differences }) => differences);

describe("a file with everything that can be wrong with rows", () => {
  test("has each problem listed once by the doctor, with table, key, column, reason and what will happen", async () => {
    const { pair, doctor } = await withDirtyFile();
    const before = await storedRows(pair.file);
    const { status, report } = await doctor();
    expect(each(report.findings).map(said).sort()).toEqual(flaws.map(said).sort());
    expect({ status, healthy: report.healthy }).toEqual({ status: 3, healthy: false });
    for (const { table, refused } of report.tables)
      expect(refused).toBe(refusals.filter((flaw) => flaw.table === table).length);
    expect(await storedRows(pair.file)).toEqual(before);
    expect(Object.values(await arrivedRows(pair.url)).flatMap((rows) => Object.keys(rows))).toEqual([]);
  });

  test("is copied but for the rows that cannot go, which are kept to the bit, and no value changes without a word", async () => {
    const { pair, rejects, copy, verify } = await withDirtyFile();
    const before = await storedRows(pair.file);
    const { status, report } = await copy();
    expect(status).toBe(3);
    expect(report).toMatchObject({ paired: false, leftOut: [], rejects });
    for (const { table, read, written, setAside } of report.tables) {
      const aside = refusals.filter((flaw) => flaw.table === table).length;
      expect({ table, read, written, setAside }).toEqual({ table, read, written: read - aside, setAside: aside });
      expect(read).toBe(Object.keys(before[table] ?? {}).length);
    }
    expect(report.tables.map(({ table }) => table).sort()).toEqual([...tables].sort());

    const findings = findingsOf(report);
    const isRefused = ({ action }: Flaw) => action === "refused";
    expect(
      findings
        .filter((flaw) => !isRefused(flaw))
        .map(said)
        .sort(),
    ).toEqual(changes.map(said).sort());
    expect(findings.filter(isRefused).map(said).sort()).toEqual(copiedAs);
    expect(await arrivedRows(pair.url)).toEqual(await expectedRows(pair.file, pair.url));
    expect(await runAt(pair.url, "SELECT metadata::text FROM messages WHERE id = 'long-number'")).toEqual([
      { metadata: '{"id": 12345678901234567890}' },
    ]);

    const kept = rejectsIn(rejects);
    expect(kept.map(said).sort()).toEqual(copiedAs);
    for (const { table, key, row } of kept) expect(storedFrom(row)).toEqual(before[table]?.[key]);
    expect(await storedRows(pair.file)).toEqual(before);
    const ours = await pair.rows("sqlite", "SELECT name FROM sqlite_master WHERE name LIKE 'dualdb%'");
    expect(ours).toEqual([]);

    const again = await copy();
    expect(again.status).toBe(3);
    for (const { read, written, alreadyThere } of again.report.tables) {
      expect(written).toBe(0);
      expect(alreadyThere).toBeLessThanOrEqual(read);
    }
    expect(rejectsIn(rejects)).toEqual(kept);

    const compared = await verify();
    expect(compared.status).toBe(3);
    const apart = differencesOf(compared.report);
    expect(apart.map(rowOf).sort()).toEqual(refusedRows);
    // What only PostgreSQL can judge is not there, and verify asks it for nothing.
    expect(apart.filter(({ kind }) => kind !== "refused" && kind !== "missing")).toEqual([]);
  });

  test("gives its rows back once they are corrected", async () => {
    const { pair, rejects, copy } = await withDirtyFile();
    await copy();
    correct(rejects, "queries", "word", { result_count: 7 });
    correct(rejects, "queries", "wide", { result_count: 2.5 });
    correct(rejects, "members", "6", { age: 6 });
    correct(rejects, "invoices", "2", { member: 1 });
    correct(rejects, "members", "5", { mood: "good" });
    const { status, report } = await copy("--retry-rejects");
    expect(status).toBe(3);
    const written = Object.fromEntries(report.tables.map(({ table, written: rows }) => [table, rows]));
    expect(written).toMatchObject({ queries: 2, members: 2, invoices: 2, messages: 0, documents: 0 });
    const mended = ["members 5", "members 6", "invoices 2", "invoices 5", "queries wide", "queries word"];
    expect(rejectsIn(rejects).map(rowOf).sort()).toEqual(refusedRows.filter((row) => !mended.includes(row)));
    expect(existsSync(join(rejects, "invoices.jsonl"))).toBe(false);
    const arrived = await arrivedRows(pair.url);
    expect(arrived.queries).toMatchObject({ word: { result_count: 7, query_text: "q" }, wide: { result_count: 3 } });
    const changed = findingsOf(report).filter(({ action }) => action !== "refused");
    expect(changed.map(said)).toEqual(["queries wide result_count altered: fraction in an integer column"]);
    expect(arrived.members?.["6"]).toMatchObject({ age: 6, email: "six" });
    expect(arrived.invoices).toMatchObject({ 2: { member: 1, note: "for nobody" }, 5: { member: 5, note: "waits" } });
  });

  test("is mirrored by the adapter in the same way, each problem logged once", async () => {
    const { pair, rejects, copy, verify } = await withDirtyFile();
    const before = await storedRows(pair.file);
    const recorder = new Recorder();
    const database = await pair.open("--S", { logger: recorder });
    const settled = { pending: 0, quarantined: refusals.length };
    await until("they are set aside", async () => {
      const { quarantined } = await database.drain({ timeoutMs: 100 });
      return quarantined === refusals.length;
    });
    expect(await database.drain()).toEqual(settled);
    expect(await arrivedRows(pair.url)).toEqual(await expectedRows(pair.file, pair.url));
    expect(await storedRows(pair.file)).toEqual(before);

    const logged = (event: string) => recorder.of(event).map(({ fields }) => fields as unknown as Flaw);
    expect(logged("finding").map(said).sort()).toEqual(changes.map(said).sort());
    const refusedLines = logged("refused");
    expect(refusedLines.map(met).sort()).toEqual(refusedWith);
    expect(refusedLines.filter(({ action, column }) => action !== "refused" || column === undefined)).toEqual([]);
    await database.close();

    const compared = await verify();
    expect(compared.status).toBe(3);
    const apart = differencesOf(compared.report);
    expect(apart.filter(({ kind }) => kind !== "refused")).toEqual([]);
    expect(apart.map(rowOf).sort()).toEqual(refusedRows);

    const { status, report } = await copy();
    expect({ status, paired: report.paired }).toEqual({ status: 3, paired: true });
    expect(rejectsIn(rejects).map(said).sort()).toEqual(mirroredAs);
    for (const { table, key, row } of rejectsIn(rejects)) expect(storedFrom(row)).toEqual(before[table]?.[key]);
  });
});

/** As somebody would in an editor. */
function correct(folder: string, table: string, key: string, values: Reject["row"]): void {
  const file = join(folder, `${table}.jsonl`);
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  const corrected = lines.map((line) => {
    const reject = JSON.parse(line) as Reject;
    return reject.key === key ? JSON.stringify({ ...reject, row: { ...reject.row, ...values } }) : line;
  });
  writeFileSync(file, `${corrected.join("\n")}\n`);
}
