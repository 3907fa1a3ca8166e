import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stronglyConnected } from "../../src/data/strongly-connected.js";

describe("strongly connected groups", () => {
  test("hold exactly the nodes that reach each other, each behind all that it points to", () => {
    const graphs = fc
      .integer({ min: 1, max: 12 })
      .chain((size) =>
        fc.tuple(fc.constant(size), fc.array(fc.tuple(fc.nat(size - 1), fc.nat(size - 1)), { maxLength: 30 })),
      );
    fc.assert(
      fc.property(graphs, ([size, edges]) => {
        const groups = stronglyConnected(
          size,
          edges.map(([from]) => from),
          edges.map(([, to]) => to),
        );
        const reaches = reachability(size, edges);
        for (let left = 0; left < size; left++)
          for (let right = 0; right < size; right++) {
            const together = left === right || (reaches[left]?.[right] && reaches[right]?.[left]) === true;
            expect(groups.of[left] === groups.of[right]).toBe(together);
          }
        for (const [from, to] of edges) expect(groups.of[from]).toBeGreaterThanOrEqual(groups.of[to] ?? -1);
        expect(new Set(groups.of).size).toBe(groups.count);
      }),
      { seed: 5, numRuns: 500 },
    );
  });

  test("are found in a chain that is longer than any call stack", () => {
    const size = 300_000;
    const from = Array.from({ length: size - 1 }, (_, node) => node);
    const groups = stronglyConnected(
      size,
      from,
      from.map((node) => node + 1),
    );
    expect([groups.count, groups.of[0], groups.of[size - 1]]).toEqual([size, size - 1, 0]);
  });
});

function reachability(size: number, edges: readonly (readonly [number, number])[]): boolean[][] {
  const reaches = Array.from({ length: size }, () => new Array<boolean>(size).fill(false));
  const set = (left: number, right: number) => {
    const row = reaches[left];
    if (row !== undefined) row[right] = true;
  };
  for (const [from, to] of edges) set(from, to);
  for (let over = 0; over < size; over++)
    for (let left = 0; left < size; left++)
      for (let right = 0; right < size; right++) if (reaches[left]?.[over] && reaches[over]?.[right]) set(left, right);
  return reaches;
}
