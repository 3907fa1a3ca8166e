import { undecidedTime } from "../data/catalogue/discover.js";

/** A reason as a command says it: with the option that settles it, where it has one. */
export function reasonText(reason: string): string {
  return reason === undecidedTime ? `${reason}, or with --epoch TABLE.COLUMN=seconds` : reason;
}
