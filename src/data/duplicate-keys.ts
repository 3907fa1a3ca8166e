/** Whether an object of a valid JSON document names a key twice. Parsing would hide it: the last value wins. */
export function hasDuplicateKeys(json: string): boolean {
  const open: (Set<string> | null)[] = [];
  let last = "";
  for (const [token] of json.matchAll(tokens)) {
    if (token === "{" || token === "[") open.push(token === "{" ? new Set() : null);
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":" && seenBefore(open.at(-1), last)) return true;
    last = token;
  }
  return false;
}

const tokens = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g;

function seenBefore(keys: Set<string> | null | undefined, token: string): boolean {
  const key = token.includes("\\") ? String(JSON.parse(token)) : token.slice(1, -1);
  const before = keys?.has(key) ?? false;
  keys?.add(key);
  return before;
}
