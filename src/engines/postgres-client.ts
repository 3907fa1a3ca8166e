import type { ConnectionOptions } from "node:tls";
import type { Client, ClientConfig } from "pg";
import type { PostgresConfig } from "../config.js";
import { isAccessRule, isTlsRefusal } from "./postgres-errors.js";

/** libpq's sslmode. `prefer` and `allow` go on without TLS where the server has none, and back to it where that is not let in. */
export class TlsChoice {
  readonly #config: PostgresConfig;
  #plain = false;

  constructor(config: PostgresConfig) {
    this.#config = config;
  }

  get options(): false | ConnectionOptions {
    const { sslMode, ca } = this.#config;
    if (sslMode === "disable" || this.#plain) return false;
    const authority = ca === undefined ? {} : { ca };
    if (sslMode === "verify-full") return { rejectUnauthorized: true, ...authority };
    if (sslMode === "verify-ca")
      return { rejectUnauthorized: true, checkServerIdentity: () => undefined, ...authority };
    return { rejectUnauthorized: false };
  }

  /** Whether another attempt would be made differently after this error. */
  changesAfter(error: unknown): boolean {
    const { sslMode } = this.#config;
    if (sslMode !== "prefer" && sslMode !== "allow") return false;
    if (isTlsRefusal(error)) this.#plain = true;
    else if (this.#plain && isAccessRule(error)) this.#plain = false;
    else return false;
    return true;
  }
}

/** How a client connects, with nothing taken from the environment. */
export function clientConfig(
  { host, port, database, user, password }: PostgresConfig,
  ssl: false | ConnectionOptions,
): ClientConfig {
  return {
    host,
    port,
    database,
    user,
    // A function keeps the driver from looking into PGPASSWORD and ~/.pgpass.
    password: () => password ?? "",
    ssl,
    sslnegotiation: "postgres",
    keepAlive: true,
  };
}

/**
 * A client that sends no start-up parameters, whatever PGOPTIONS and PGAPPNAME say: PgBouncer refuses most. The encoding is one that
 * it follows, and without it a database in another encoding would garble text.
 */
export function plainClient(
  Base: typeof Client,
  config: () => ClientConfig,
  watch: (client: Client) => void,
): new () => Client {
  return class extends Base {
    constructor() {
      super(config());
      watch(this);
    }

    getStartupConf(): Record<string, string | undefined> {
      return { user: this.user, database: this.database, client_encoding: "UTF8" };
    }
  };
}
