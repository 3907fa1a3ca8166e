import { stripVTControlCharacters } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { progressDisplay } from "../../src/cli/progress-display.js";
import type { Stream, Terminal } from "../../src/cli/terminal.js";
import type { Progress } from "../../src/migrate/progress.js";

class Screen implements Stream {
  text = "";
  readonly isTTY: boolean;
  readonly columns: number;

  constructor(isTTY: boolean, columns = 120) {
    this.isTTY = isTTY;
    this.columns = columns;
  }

  write(text: string): boolean {
    this.text += text;
    return true;
  }
}

function terminal(
  isTTY: boolean,
  columns?: number,
): { readonly screen: Screen; readonly out: Screen; readonly terminal: Terminal } {
  const screen = new Screen(isTTY, columns);
  const out = new Screen(isTTY);
  const interruption = () => new AbortController().signal;
  return { screen, out, terminal: { env: {}, stdout: out, stderr: screen, interruption } };
}

const copying = (rows: number, total: number | null = 1_000): Progress => ({
  step: "copy",
  table: "notes",
  rows,
  total,
});

/** The last bar of a run that is half-way after ten seconds, on a terminal of so many columns. */
function barAt(columns: number, total: number | null): string {
  vi.useFakeTimers();
  try {
    const { screen, terminal: shown } = terminal(true, columns);
    const display = progressDisplay(shown, false);
    for (let second = 0; second <= 10; second++) {
      display.show(copying(15_000 * second, total));
      vi.advanceTimersByTime(1_000);
    }
    const bars = screen.text.split("\u001B[1G").map((text) => stripVTControlCharacters(text));
    display.end();
    return bars.at(-1) ?? "";
  } finally {
    vi.useRealTimers();
  }
}

describe("progress", () => {
  test.each([
    [100, "copy notes ████████████░░░░░░░░░░░░ 50 % | 150,000 of 300,000 rows | 13,636 rows/s | 10 s left"],
    [90, "copy notes █████░░░░░ 50 % | 150,000 of 300,000 rows | 13,636 rows/s | 10 s left"],
    [60, "copy notes █████░░░░░ 50 % | 13,636 rows/s | 10 s left"],
    [40, "copy notes █████░░░░░ 50 % | 10 s left"],
    [20, "copy notes 50 %"],
    [9, "copy not"],
  ])("a bar of %i columns says what there is room for, and no half words", (columns, bar) => {
    expect(barAt(columns, 300_000)).toBe(bar);
  });

  test("a bar whose end nobody knows claims none", () => {
    expect(barAt(100, null)).toBe("copy notes | 150,000 rows | 13,636 rows/s");
    expect(barAt(100, 10_000_000)).toMatch(/ 1 % .* \| 11 min left$/);
  });

  test("a file whose rows nobody has counted is measured by its bytes", () => {
    vi.useFakeTimers();
    try {
      const checking = (read: number): Progress => ({
        step: "check",
        table: "notes",
        rows: read / 100,
        total: null,
        bytes: { read, size: 100_000 },
      });
      const [bar, lines] = [terminal(true), terminal(false)];
      const displays = [bar, lines].map((shown) => progressDisplay(shown.terminal, false));
      for (const display of displays) display.show(checking(0));
      vi.advanceTimersByTime(10_000);
      for (const display of displays) display.show(checking(25_000));
      const text = stripVTControlCharacters(bar.screen.text);
      expect(text).toMatch(/check notes █{6}░{18} 25 % \| 250 rows \| 25 rows\/s/);
      expect(lines.screen.text).toBe("check notes: 250 rows (25 %), 25 rows/s, 30 s left\n");
      for (const display of displays) display.end();
    } finally {
      vi.useRealTimers();
    }
  });

  test("a bar where a person looks, on standard error, and gone at the end", () => {
    const { screen, out, terminal: shown } = terminal(true);
    const display = progressDisplay(shown, false);
    display.show(copying(0));
    display.show(copying(500));
    display.end();
    const text = stripVTControlCharacters(screen.text);
    expect(text).toContain("copy notes");
    expect(text).toMatch(/500 of 1,000 rows \| .* rows\/s/);
    expect(out.text).toBe("");
    expect(screen.text.endsWith("\u001B[?25h") || screen.text.includes("\u001B[?25h")).toBe(true);
  });

  test("lines elsewhere, seldom, with the rate and the time left", () => {
    vi.useFakeTimers();
    try {
      const { screen, terminal: shown } = terminal(false);
      const display = progressDisplay(shown, false);
      display.show(copying(0));
      vi.advanceTimersByTime(2_000);
      display.show(copying(200));
      expect(screen.text).toBe("");
      vi.advanceTimersByTime(3_000);
      display.show(copying(500));
      display.show(copying(510));
      display.end();
      expect(screen.text).toBe("copy notes: 500 rows of 1,000 (50 %), 100 rows/s, 5 s left\n");
    } finally {
      vi.useRealTimers();
    }
  });

  test("a total that nobody knows is not shown", () => {
    vi.useFakeTimers();
    try {
      const { screen, terminal: shown } = terminal(false);
      const display = progressDisplay(shown, false);
      display.show(copying(0, null));
      vi.advanceTimersByTime(5_000);
      display.show(copying(50, null));
      expect(screen.text).toBe("copy notes: 50 rows, 10 rows/s\n");
    } finally {
      vi.useRealTimers();
    }
  });

  test("nothing where nobody wants it", () => {
    const { screen, out, terminal: shown } = terminal(true);
    const display = progressDisplay(shown, true);
    display.show(copying(10));
    display.end();
    expect(screen.text + out.text).toBe("");
  });
});
