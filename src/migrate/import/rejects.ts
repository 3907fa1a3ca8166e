import type { Finding } from "../../data/finding.js";
import type { Side } from "../../engines/engine.js";
import { onFile } from "../file-errors.js";
import { Rejects } from "../rejects.js";
import type { IntakeRow } from "./intake.js";
import type { Tally } from "./tally.js";

/**
 * Puts the rows that were set aside where those of a copy go, each with its finding and to the bit, and counts the findings. They are
 * read once more for that: who sets a row aside may know no more of it than its line.
 */
export async function writeRejects(folder: string, to: Side, tallies: readonly Tally[]): Promise<void> {
  for (const tally of tallies) if (tally.aside.size > 0) await writeTable(folder, to, tally);
}

async function writeTable(folder: string, to: Side, tally: Tally): Promise<void> {
  const { intake } = tally;
  const rejects = new Rejects(folder, intake.table, { by: "import", to });
  await onFile(rejects.path, async () => {
    try {
      for await (const page of intake.rows()) await rejects.add(page.flatMap((row) => rejectedOf(tally, row)));
    } finally {
      await rejects.close();
    }
  });
}

function rejectedOf(tally: Tally, { line, source }: IntakeRow) {
  const { intake, aside } = tally;
  const found = aside.get(line);
  if (found === undefined) return [];
  const { column, reason } = found;
  const finding: Finding = { table: intake.table.name, key: source.key, column, reason, action: "refused" };
  tally.note(finding);
  return [{ row: source, finding }];
}
