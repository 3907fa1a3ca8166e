/**
 * A float as PostgreSQL prints a `double precision`: the fewest digits that lie nearer to it than to any other float, which read back to
 * the bit.
 */
export function spellFloat(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < plainLimit) return Object.is(value, -0) ? "-0" : String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  const text = String(value);
  return isPlain(value) ? text : scientific(shortest(value));
}

/** PostgreSQL writes exponents from 15 on and below -4. */
const plainLimit = 1e15;
/** Below it a float has no neighbour so near that a number of 17 digits lies exactly between them. */
const tieLimit = 2 ** 53;

function isPlain(value: number): boolean {
  const size = Math.abs(value);
  return size >= 1e-4 && size < plainLimit;
}

function scientific(value: string): string {
  return value.replace(/e([+-])(\d)$/, "e$10$2");
}

/** JavaScript also takes digits that lie exactly between two floats, where they read back to this one; PostgreSQL does not. */
function shortest(value: number): string {
  const text = value.toExponential();
  if (Math.abs(value) < tieLimit || !isTie(text, value)) return text;
  for (let digits = significantDigits(text); digits < 17; digits++) {
    const longer = value.toExponential(digits);
    if (Number(longer) === value && !isTie(longer, value)) return longer;
  }
  return value.toExponential(16);
}

function significantDigits(text: string): number {
  return text.replace(/e.*$/, "").replace(/\D/g, "").length;
}

/** Whether the digits are exactly as far from this float, which is an integer, as from one beside it. */
function isTie(text: string, value: number): boolean {
  const digits = integerOf(text);
  const mirrored = 2n * digits - BigInt(value);
  return digits !== BigInt(value) && BigInt(Number(mirrored)) === mirrored;
}

function integerOf(text: string): bigint {
  const [digits = "", exponent = "0"] = text.split("e+");
  const [whole = "", fraction = ""] = digits.split(".");
  return BigInt(whole + fraction.padEnd(Number(exponent), "0"));
}
