import type { Logger } from "../../src/logger.js";

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** A logger that keeps every line. */
export class Recorder implements Logger {
  readonly lines: LogLine[] = [];

  debug(fields: object, message?: string): void {
    this.#keep("debug", fields, message);
  }

  info(fields: object, message?: string): void {
    this.#keep("info", fields, message);
  }

  warn(fields: object, message?: string): void {
    this.#keep("warn", fields, message);
  }

  error(fields: object, message?: string): void {
    this.#keep("error", fields, message);
  }

  /** The lines of one event. */
  of(event: string): LogLine[] {
    return this.lines.filter((line) => line.event === event);
  }

  /** Everything that was logged, as one text to search. */
  get text(): string {
    return JSON.stringify(this.lines);
  }

  #keep(level: LogLine["level"], fields: object, message = ""): void {
    const copy: Record<string, unknown> = { ...fields };
    this.lines.push({ level, event: String(copy.event ?? ""), fields: copy, message });
  }
}
