import { toUSVString } from "node:util";

/** Text that both sides can hold: NUL and lone surrogates become U+FFFD. */
export function cleanText(text: string): string {
  const paired = toUSVString(text);
  return paired.includes("\0") ? paired.replaceAll("\0", "\ufffd") : paired;
}
