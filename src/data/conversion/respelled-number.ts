const number = /^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$/;
const canonical = /^(0|-?[1-9]\d{0,18})$/;

/** Whether a column of SQLite that holds numbers takes a text for one, and spells it in another way: `007`, `+5`, `1e3`, `5.0`. */
export function isRespelledNumber(text: string): boolean {
  if (!number.test(text)) return false;
  return !canonical.test(text) || BigInt.asIntN(64, BigInt(text)) !== BigInt(text);
}
