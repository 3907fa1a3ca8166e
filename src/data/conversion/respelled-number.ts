const number = /^[ \t\n\v\f\r]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t\n\v\f\r]*$/;
const canonical = /^(0|-?[1-9]\d{0,18})$/;

/** Whether a column of SQLite that holds numbers takes a text for one. */
export function isNumberToSqlite(text: string): boolean {
  return number.test(text);
}

/** Whether it then spells it in another way: `007`, `+5`, `1e3`, `5.0`. */
export function isRespelledNumber(text: string): boolean {
  if (!isNumberToSqlite(text)) return false;
  return !canonical.test(text) || BigInt.asIntN(64, BigInt(text)) !== BigInt(text);
}
