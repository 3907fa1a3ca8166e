import { dirname, join } from "node:path";
import { runCommand } from "../command.js";
import { atLeast, atMost, type Measure, median } from "../harness.js";
import { makePlainTable, plainTableInPostgres } from "../plain-table.js";
import { RawPostgres } from "../raw.js";
import type { Scene } from "../scene.js";

const rows = 300_000;

/** How fast an export is brought into an empty table, against how fast the rows were copied; in turns, each into a new database. */
export const importing: Measure = {
  name: "import",
  async run(scene) {
    const count = scene.count(rows);
    const file = scene.newFile();
    await makePlainTable(file, count);
    const folder = join(dirname(file), "export");
    const exported = await runCommand("export", "--sqlite", file, "--dir", folder);
    const times = { copy: [] as number[], import: [] as number[] };
    const memory = [exported.megabytes];
    for (let round = 0; round < scene.count(5); round++) {
      const copied = await runCommand("copy", "--sqlite", file, "--pg", await emptyTwin(scene));
      const url = await emptyTwin(scene);
      const imported = await runCommand("import", "--sqlite", file, "--pg", url, "--to", "postgres", "--dir", folder);
      times.copy.push(copied.milliseconds);
      times.import.push(imported.milliseconds);
      memory.push(imported.megabytes);
    }
    const ratio = median(times.copy.map((time, round) => time / (times.import[round] ?? Number.NaN)));
    const rate = (...milliseconds: readonly number[]) =>
      `${Math.round((count * 1_000) / median(milliseconds)).toLocaleString("en")} rows/s`;
    const detail = `${count.toLocaleString("en")} rows of 20 columns: import ${rate(...times.import)}, copy ${rate(...times.copy)}, export ${rate(exported.milliseconds)}`;
    return [
      atLeast("import of the JSON export, against the copy", ratio, 0.5, detail),
      atMost("memory of export and import", Math.max(...memory), 250, `${count.toLocaleString("en")} rows`, " MB"),
    ];
  },
};

async function emptyTwin(scene: Scene): Promise<string> {
  const url = await scene.server.createDatabase();
  const server = new RawPostgres(url);
  await server.query(plainTableInPostgres);
  await server.close();
  return url;
}
