/**
 * Whether an object of a valid JSON document, nested no deeper than a stack can take, names a key twice. `value` is what it parses to, where
 * the last one wins: then there are fewer keys than colons.
 */
export function hasDuplicateKeys(json: string, value: unknown = JSON.parse(json)): boolean {
  return countColons(json) !== countKeys(value);
}

function countKeys(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) count += countKeys(item);
    return count;
  }
  for (const item of Object.values(value)) count += 1 + countKeys(item);
  return count;
}

const quote = 34;
const backslash = 92;
const colon = 58;

/** Those that stand behind keys; others are in strings. */
function countColons(json: string): number {
  let count = 0;
  let inString = false;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === quote) inString = !inString;
    else if (code === backslash) at++;
    else if (code === colon && !inString) count++;
  }
  return count;
}
