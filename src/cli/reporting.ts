import { codes, DualDbError } from "../errors.js";
import type { Terminal } from "./terminal.js";

/**
 * With `--json`, one document on standard output, whatever happens: `{ ok: true, …result }`, or `{ ok: false, …result, error }` with what
 * was done before the failure. Resolves to the exit status.
 */
export async function reporting<T extends object>(
  json: boolean | undefined,
  terminal: Terminal,
  result: T,
  work: (result: T) => Promise<number>,
): Promise<number> {
  const put = (document: object) => terminal.stdout.write(`${JSON.stringify(document)}\n`);
  try {
    const status = await work(result);
    if (json) put({ ok: true, ...result });
    return status;
  } catch (error) {
    if (!json || !(error instanceof DualDbError)) throw error;
    const { code, message, side, table, column, details } = error;
    put({ ok: false, ...result, error: { code, message, side, table, column, details } });
    return codes[code].exit;
  }
}
