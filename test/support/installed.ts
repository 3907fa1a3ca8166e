import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freshDirectory } from "./databases.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

/** A folder in which the packed tarball is installed, with what a user gets beside it and nothing that only this repository has. */
export async function installPackage(): Promise<string> {
  const folder = freshDirectory();
  await run("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder], { cwd: root });
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  await run("tar", ["xzf", String(tarball)], { cwd: folder });
  cpSync(join(folder, "package"), join(folder, "node_modules/dualdb"), { recursive: true });
  for (const path of dependencies()) link(join(root, path), join(folder, path));
  link(join(folder, "node_modules/dualdb/dist/cli/main.js"), join(folder, "node_modules/.bin/dualdb"));
  return folder;
}

/** What npm installs with the package: not what it is developed with, such as the types of `pg`. */
function dependencies(): string[] {
  const lock: Lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const installed = Object.entries(lock.packages).filter(([path, { dev }]) => path !== "" && dev !== true);
  return installed.map(([path]) => path).filter((path) => existsSync(join(root, path)));
}

interface Lock {
  /** By path: `node_modules/pg`, or `node_modules/a/node_modules/b` for one that another has for itself. */
  readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  if (!existsSync(path)) symlinkSync(target, path);
}
