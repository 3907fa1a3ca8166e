/** The one key of the wrapper. */
export const wrapperKey = "$dualdb:text";
const beginning = new RegExp(`^\\s*\\{\\s*"${wrapperKey.replace("$", "\\$")}"\\s*:`);

/** The JSON document that carries a text which is no JSON through a JSONB column. */
export function wrapText(text: string): string {
  return JSON.stringify({ [wrapperKey]: text });
}

/** The text in a wrapper; any other document comes back as it is. Unwrap once: a wrapped wrapper is a document of that form. */
export function unwrapText(json: string): string {
  return isWrapper(json) ? ((JSON.parse(json) as Record<string, string>)[wrapperKey] ?? json) : json;
}

/** Whether a valid JSON text has the wrapper's form: one key, and text under it. */
export function isWrapper(json: string): boolean {
  if (!beginning.test(json)) return false;
  const document = JSON.parse(json) as Record<string, unknown>;
  return Object.keys(document).length === 1 && typeof document[wrapperKey] === "string";
}
