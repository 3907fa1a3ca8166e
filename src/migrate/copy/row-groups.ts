import { piecesOf } from "../../data/rows/copy-text.js";
import { stronglyConnected } from "../../data/strongly-connected.js";
import type { PostgresTransaction } from "../../engines/engine.js";
import { ordinal, type Part, type StagedTable } from "./staged-table.js";

/** Groups of rows, numbered from 0, both ends included. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * Staged rows in groups that have to go together, each behind all that it depends on: its parents, and the rows that have to let go of a
 * unique value first. So any range of groups can go when those before it have.
 */
export class RowGroups {
  readonly count: number;

  static async of(transaction: PostgresTransaction, stages: readonly StagedTable[]): Promise<RowGroups> {
    const nodes = await Nodes.of(stages);
    const { from, to } = await dependenciesAmong(transaction, stages, nodes);
    const groups = stronglyConnected(nodes.size, from, to);
    await transaction.script(`CREATE TEMPORARY TABLE ${name} (place int, n bigint, number int) ON COMMIT DROP`);
    await transaction.copyIn(`COPY ${name} FROM STDIN`, piecesOf(linesOf(nodes, groups.of)));
    await transaction.script(`CREATE INDEX ON ${name} (number); CREATE INDEX ON ${name} (place, n); ANALYZE ${name}`);
    return new RowGroups(groups.count);
  }

  private constructor(count: number) {
    this.count = count;
  }

  /** The rows of these groups in the stage of that place. */
  part(place: number, { from, to }: Range): Part {
    const mine = `SELECT n FROM ${name} WHERE place = ${place} AND number BETWEEN ${from} AND ${to}`;
    return (alias) => `${alias}.${ordinal} IN (${mine})`;
  }

  async drop(transaction: PostgresTransaction): Promise<void> {
    await transaction.script(`DROP TABLE ${name}`);
  }
}

const name = "dualdb_groups";

/** All rows of all stages, numbered through. */
class Nodes {
  readonly #starts: readonly number[];

  static async of(stages: readonly StagedTable[]): Promise<Nodes> {
    const starts = [0];
    for (const staged of stages) starts.push((starts.at(-1) ?? 0) + (await staged.last()));
    return new Nodes(starts);
  }

  private constructor(starts: readonly number[]) {
    this.#starts = starts;
  }

  get size(): number {
    return this.#starts.at(-1) ?? 0;
  }

  /** The node of a row, which stages count from 1. */
  at(place: number, n: number): number {
    return (this.#starts[place] ?? 0) + n - 1;
  }

  *rows(): Generator<{ readonly place: number; readonly n: number; readonly node: number }> {
    for (const [place, start] of this.#starts.slice(0, -1).entries())
      for (let node = start; node < (this.#starts[place + 1] ?? 0); node++) yield { place, n: node - start + 1, node };
  }
}

function* linesOf(nodes: Nodes, groups: Int32Array): Generator<string> {
  for (const { place, n, node } of nodes.rows()) yield `${place}\t${n}\t${groups[node]}\n`;
}

async function dependenciesAmong(transaction: PostgresTransaction, stages: readonly StagedTable[], nodes: Nodes) {
  const [from, to]: [number[], number[]] = [[], []];
  for (const [place, staged] of stages.entries())
    for (const { on, text } of staged.dependencies(stages))
      for await (const [n, m] of numbersOf(transaction, text)) {
        from.push(nodes.at(place, n));
        to.push(nodes.at(stages.indexOf(on), m));
      }
  return { from, to };
}

/** The rows of a SELECT of two numbers, which may be many. */
async function* numbersOf(transaction: PostgresTransaction, text: string): AsyncGenerator<[number, number]> {
  let begun = "";
  for await (const chunk of transaction.copyOut(`COPY (${text}) TO STDOUT`)) {
    const lines = `${begun}${Buffer.from(chunk).toString("latin1")}`.split("\n");
    begun = lines.pop() ?? "";
    for (const line of lines) {
      const [n, m] = line.split("\t").map(Number);
      yield [n ?? 0, m ?? 0];
    }
  }
}
