import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { PostgresOptions } from "./postgres.js";
import { type Binaries, programPath, unprivileged } from "./postgres-binaries.js";

/** Lays down an empty cluster in `data` below the directory, owned by the user that will run it. */
export function initialise(binaries: Binaries, directory: string, options: PostgresOptions): void {
  if (options.tls) createCertificate(directory);
  const passwordFile = path.join(directory, "password");
  if (options.auth === "scram-sha-256") {
    writeFileSync(passwordFile, passwordOf(options));
    give(passwordFile);
  }
  const data = path.join(directory, "data");
  const locale = ["--encoding=UTF8", "--no-locale"];
  const access =
    options.auth === "scram-sha-256" ? ["-A", "scram-sha-256", `--pwfile=${passwordFile}`] : ["-A", "trust"];
  execFileSync(programPath(binaries, "initdb"), ["-D", data, "-U", "postgres", "--no-sync", ...locale, ...access], {
    ...unprivileged,
    cwd: directory,
    env: binaries.environment,
    stdio: ["ignore", "ignore", "pipe"],
  });
}

export function passwordOf({ password = "secret" }: PostgresOptions): string {
  return password;
}

/** The arguments of `postgres` for that cluster. */
export function serverArguments(directory: string, port: number, options: PostgresOptions): string[] {
  const sockets = path.join(directory, "s");
  if (process.platform !== "win32") {
    mkdirSync(sockets, { recursive: true });
    give(sockets);
  }
  const tls = {
    ssl: "on",
    ssl_cert_file: path.join(directory, "server.crt"),
    ssl_key_file: path.join(directory, "server.key"),
  };
  const settings = {
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: process.platform === "win32" ? "" : sockets,
    max_connections: 200,
    fsync: options.fsync ? "on" : "off",
    ...(options.tls ? tls : {}),
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return ["-D", path.join(directory, "data"), ...flags];
}

/** A certificate for `localhost`, which is not what `127.0.0.1` asks for: both verify modes can be told apart. */
function createCertificate(directory: string): void {
  const certificate = path.join(directory, "server.crt");
  const key = path.join(directory, "server.key");
  const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"];
  const extensions = ["-addext", "subjectAltName=DNS:localhost"];
  execFileSync("openssl", [...request, ...extensions, "-out", certificate, "-keyout", key], { stdio: "ignore" });
  chmodSync(key, 0o600);
  give(certificate);
  give(key);
}

/** Hands a file over to the user that the server runs as. */
export function give(entry: string): void {
  if (unprivileged.uid !== undefined && unprivileged.gid !== undefined)
    chownSync(entry, unprivileged.uid, unprivileged.gid);
}
