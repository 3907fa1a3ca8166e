/** Anything with pino's four methods. */
export interface Logger {
  debug(fields: object, message?: string): void;
  info(fields: object, message?: string): void;
  warn(fields: object, message?: string): void;
  error(fields: object, message?: string): void;
}

/** Says nothing: the default of a library. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** A logger whose own failures reach nobody: a transport that has ended must not end whoever logs. */
export function harmless(logger: Logger): Logger {
  const told = (level: keyof Logger) => (fields: object, message?: string) => {
    try {
      logger[level](fields, message);
    } catch {
      // There is nobody left to tell.
    }
  };
  return { debug: told("debug"), info: told("info"), warn: told("warn"), error: told("error") };
}
