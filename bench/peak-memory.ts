import { readFileSync } from "node:fs";

/**
 * The most memory that this process has held, in MB. Linux hands `maxRSS` down from the parent, so that a child of a large process never
 * has less; the high-water mark in /proc begins anew.
 */
export function peakMegabytes(): number {
  return peakKilobytes() / 1_024;
}

/** A module for `--import` that writes `peak KILOBYTES` to standard error when the process ends. */
export function peakTeller(): string {
  const lines = [
    'import { readFileSync } from "node:fs";',
    peakKilobytes.toString(),
    'process.on("exit", () => process.stderr.write("peak " + peakKilobytes()));',
  ];
  return `data:text/javascript,${encodeURIComponent(lines.join("\n"))}`;
}

function peakKilobytes(): number {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  } catch {
    return process.resourceUsage().maxRSS;
  }
}
