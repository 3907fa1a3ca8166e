import { z } from "zod";
import { DualDbError } from "../errors.js";

/** What a POST may ask for. */
export interface Order {
  /** Only look at what would happen. */
  readonly dryRun: boolean;
}

const mostBytes = 16 * 1_024;
const orders = z.strictObject({ dryRun: z.boolean().default(false) });

/**
 * The order in a request's body; none at all asks for the real thing.
 * @throws BODY_TOO_LARGE, BODY_UNSUPPORTED, VALIDATION_FAILED
 */
export async function orderOf(request: Request): Promise<Order> {
  const text = await textOf(request);
  if (text === "") return { dryRun: false };
  if (!/^application\/json\s*(;|$)/i.test(request.headers.get("content-type") ?? ""))
    throw new DualDbError("BODY_UNSUPPORTED", "Send the body as application/json.");
  const order = orders.safeParse(parsed(text));
  if (order.success) return order.data;
  throw new DualDbError(
    "VALIDATION_FAILED",
    'The body is a JSON object that may have "dryRun": true or false, and nothing else.',
  );
}

/** Read no further than the limit, whatever its length was said to be. */
async function textOf(request: Request): Promise<string> {
  if (Number(request.headers.get("content-length") ?? 0) > mostBytes) throw tooLarge();
  if (request.body === null) return "";
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > mostBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function tooLarge(): DualDbError {
  return new DualDbError("BODY_TOO_LARGE", `The body may have ${mostBytes} bytes.`);
}
