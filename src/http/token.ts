import { createHash, timingSafeEqual } from "node:crypto";
import { DualDbError } from "../errors.js";

/**
 * Lets a request pass only with the token. Both are compared by their hashes and in constant time, so that neither length nor content can
 * be measured; without a configured token nobody passes.
 * @throws TOKEN_MISSING, UNAUTHORIZED
 */
export function authorize(request: Request, token: string | undefined): void {
  const wanted = token?.trim() ?? "";
  if (wanted === "")
    throw new DualDbError("TOKEN_MISSING", "Every request is refused until MIGRATION_TOKEN is set where this runs.");
  const [, given = ""] = /^Bearer +(\S+) *$/i.exec(request.headers.get("authorization") ?? "") ?? [];
  if (!timingSafeEqual(hash(given), hash(wanted)))
    throw new DualDbError("UNAUTHORIZED", "Send the token: Authorization: Bearer TOKEN.");
}

function hash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
