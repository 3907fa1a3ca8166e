/** Names of two sides brought together; what may mean more than one is said, not guessed. */
export interface Matches {
  /** Left name and right name. */
  readonly pairs: readonly (readonly [string, string])[];
  readonly ambiguous: readonly Ambiguity[];
}

export interface Ambiguity {
  /** Names of the left side that look alike. */
  readonly left: readonly string[];
  /** The names of the right side that each of them may mean. */
  readonly right: readonly string[];
}

/** By exact name, else without regard to case, else by the words of the name: `userId`, `user_id` and `UserID` are the same. */
export function matchNames(left: readonly string[], right: readonly string[]): Matches {
  const pairs: (readonly [string, string])[] = [];
  const ambiguous: Ambiguity[] = [];
  const taken = { left: new Set<string>(), right: new Set<string>() };
  for (const form of forms) {
    const lefts = groupsOf(left, taken.left, form);
    const rights = groupsOf(right, taken.right, form);
    for (const [key, mine] of lefts) {
      const others = rights.get(key) ?? [];
      const [one] = mine;
      const [other] = others;
      if (one === undefined || other === undefined) continue;
      if (mine.length === 1 && others.length === 1) pairs.push([one, other]);
      else ambiguous.push({ left: mine, right: others });
      for (const name of mine) taken.left.add(name);
      for (const name of others) taken.right.add(name);
    }
  }
  return { pairs, ambiguous };
}

const forms: readonly ((name: string) => string)[] = [
  (name) => name,
  (name) => name.toLowerCase(),
  (name) => wordsOf(name).join("_"),
];

function groupsOf(
  names: readonly string[],
  taken: ReadonlySet<string>,
  form: (name: string) => string,
): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const name of names) {
    if (!taken.has(name)) groups.set(form(name), [...(groups.get(form(name)) ?? []), name]);
  }
  return groups;
}

/** The words of a name in lower case: `HTTPServerIDs2` has `http`, `server`, `ids` and `2`. */
export function wordsOf(name: string): string[] {
  return (name.match(words) ?? [name]).map((word) => word.toLowerCase());
}

/** An acronym in the plural, an acronym before a word, a word, an acronym, digits. */
const words = /\p{Lu}{2,}s(?!\p{Ll})|\p{Lu}+(?=\p{Lu}\p{Ll})|\p{Lu}?[\p{Ll}\p{Lo}\p{M}]+|\p{Lu}+|\p{N}+/gu;
