const units = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
] as const;

/** Milliseconds for a person: the largest unit of which there are at least two, else of which there is one. */
export function duration(ms: number): string {
  const [unit, length] = units.find(([, size]) => ms >= 2 * size) ?? units.find(([, size]) => ms >= size) ?? ["ms", 1];
  const count = Math.floor(Math.max(0, ms) / length);
  return unit === "ms" ? `${count} ms` : `${count} ${unit}${count === 1 ? "" : "s"}`;
}
