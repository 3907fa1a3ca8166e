/**
 * A decimal number in the one form that all its spellings share: `1e2`, `100` and `100.0` are the same text. Never through a float, so that
 * no digit is lost. Text that is no number comes back as it is.
 */
export function plainDecimal(text: string): string {
  return decimalOf(text) ?? text.trim();
}

/** The same; null for text that is no number. */
export function decimalOf(text: string): string | null {
  const parts = pattern.exec(text);
  if (parts === null) return null;
  const [, sign, whole = "", fraction = "", exponent = "0"] = parts;
  const digits = (whole + fraction).replace(/^0+/, "");
  const significant = digits.replace(/0+$/, "");
  if (significant === "") return "0";
  const shift = Number(exponent) - fraction.length + digits.length - significant.length;
  return `${sign === "-" ? "-" : ""}${significant}e${shift}`;
}

const pattern = /^\s*([+-]?)(?=\.?\d)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?\s*$/;
