import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freshDirectory } from "./databases.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

/** A folder in which the packed tarball is installed, with what it depends on and nothing of this repository's. */
export async function installPackage(): Promise<string> {
  const folder = freshDirectory();
  await run("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder], { cwd: root });
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  await run("tar", ["xzf", String(tarball)], { cwd: folder });
  cpSync(join(folder, "package"), join(folder, "node_modules/dualdb"), { recursive: true });
  for (const name of dependencies()) link(join(root, "node_modules", name), join(folder, "node_modules", name));
  link(join(folder, "node_modules/dualdb/dist/cli/main.js"), join(folder, "node_modules/.bin/dualdb"));
  return folder;
}

/** All that is installed here: the package's own dependencies have theirs. */
function dependencies(): string[] {
  const names = readdirSync(join(root, "node_modules")).filter((name) => !name.startsWith("."));
  return names.flatMap((name) => {
    return name.startsWith("@")
      ? readdirSync(join(root, "node_modules", name)).map((inner) => `${name}/${inner}`)
      : [name];
  });
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  if (!existsSync(path)) symlinkSync(target, path);
}
