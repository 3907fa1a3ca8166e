import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** A place in the built package, and what stands there in a mutant. */
export interface Replacement {
  readonly file: string;
  readonly find: string | RegExp;
  readonly replace: string;
}

/** Copies the built package, so that a build during the run changes nothing, and makes the replacements in the copy. → its dist */
export function copyPackage(scratch: string, dist: string, replacements: readonly Replacement[]): string {
  const root = path.join(scratch, "package");
  mkdirSync(root);
  cpSync(dist, path.join(root, "dist"), { recursive: true });
  cpSync(path.join(repository, "package.json"), path.join(root, "package.json"));
  cpSync(path.join(repository, "sql"), path.join(root, "sql"), { recursive: true });
  symlinkSync(path.join(repository, "node_modules"), path.join(root, "node_modules"));
  for (const replacement of replacements)
    writeFileSync(path.join(root, "dist", replacement.file), replaced(path.join(root, "dist"), replacement));
  return path.join(root, "dist");
}

/** The file's text with the replacement made. Throws where the place is not to be found. */
export function replaced(dist: string, { file, find, replace }: Replacement): string {
  const text = readFileSync(path.join(dist, file), "utf8");
  const result = text.replaceAll(typeof find === "string" ? find : new RegExp(find, "g"), () => replace);
  if (result === text) throw new Error(`dist/${file} does not contain what the mutant replaces: ${find}`);
  return result;
}
