import { randomBytes } from "node:crypto";
import { onTestFinished } from "vitest";
import { runAt } from "./postgres.js";

/** A user of PostgreSQL that may do nothing yet. */
export interface Role {
  readonly name: string;
  /** The same database for this user. */
  readonly url: string;
}

/** Makes a user of the database at that URL, with statements in which `ROLE` stands for its name; gone after the test. */
export async function freshRole(at: string, grants = "SELECT"): Promise<Role> {
  const name = `role_${randomBytes(6).toString("hex")}`;
  onTestFinished(() => runAt(at, `DROP OWNED BY ${name}; DROP ROLE ${name}`).then(() => undefined));
  await runAt(at, `CREATE ROLE ${name} LOGIN PASSWORD 'secret'; ${grants.replaceAll("ROLE", name)}`);
  const url = new URL(at);
  url.username = name;
  url.password = "secret";
  return { name, url: url.href };
}
