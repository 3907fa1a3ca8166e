import { runCommand } from "../command.js";
import { atLeast, atMost, type Measure, median } from "../harness.js";
import { makePlainTable, plainTableInPostgres } from "../plain-table.js";
import { RawPostgres } from "../raw.js";

const rows = 300_000;

/** How fast both databases are compared, against how fast the rows were copied; in turns, each copy into a new database. */
export const verify: Measure = {
  name: "verify",
  async run(scene) {
    const count = scene.count(rows);
    const file = scene.newFile();
    await makePlainTable(file, count);
    const times = { copy: [] as number[], verify: [] as number[] };
    const memory: number[] = [];
    for (let round = 0; round < scene.count(5); round++) {
      const url = await emptyTwin(await scene.server.createDatabase());
      times.copy.push((await runCommand("copy", "--sqlite", file, "--pg", url)).milliseconds);
      const { document, milliseconds, megabytes } = await runCommand("verify", "--sqlite", file, "--pg", url);
      if (document.equal !== true) throw new Error("the copy is not equal: nothing to measure");
      times.verify.push(milliseconds);
      memory.push(megabytes);
    }
    const ratio = median(times.copy.map((time, round) => time / (times.verify[round] ?? Number.NaN)));
    const rate = (milliseconds: readonly number[]) =>
      `${Math.round((count * 1_000) / median(milliseconds)).toLocaleString("en")} rows/s`;
    const detail = `${count.toLocaleString("en")} rows of 20 columns: verify ${rate(times.verify)}, copy ${rate(times.copy)}`;
    return [
      atLeast("verify, rows/s, against the copy of a plain table", ratio, 0.6, detail),
      atMost("memory of verify", Math.max(...memory), 250, `${count.toLocaleString("en")} rows`, " MB"),
    ];
  },
};

async function emptyTwin(url: string): Promise<string> {
  const server = new RawPostgres(url);
  await server.query(plainTableInPostgres);
  await server.close();
  return url;
}
