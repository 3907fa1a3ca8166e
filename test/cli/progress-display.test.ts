import { stripVTControlCharacters } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { progressDisplay } from "../../src/cli/progress-display.js";
import type { Stream, Terminal } from "../../src/cli/terminal.js";
import type { Progress } from "../../src/migrate/progress.js";

class Screen implements Stream {
  text = "";
  readonly isTTY: boolean;
  readonly columns = 120;

  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }

  write(text: string): boolean {
    this.text += text;
    return true;
  }
}

function terminal(isTTY: boolean): { readonly screen: Screen; readonly out: Screen; readonly terminal: Terminal } {
  const screen = new Screen(isTTY);
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

describe("progress", () => {
  test("a bar where a person looks, on standard error, and gone at the end", () => {
    const { screen, out, terminal: shown } = terminal(true);
    const display = progressDisplay(shown, false);
    display.show(copying(0));
    display.show(copying(500));
    display.end();
    const text = stripVTControlCharacters(screen.text);
    expect(text).toContain("copy notes");
    expect(text).toMatch(/\d+\/1000 rows \| .* rows\/s/);
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
      expect(screen.text).toBe("copy notes: 500 rows of 1000 (50 %), 100 rows/s, 5 s left\n");
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
