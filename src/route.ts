import type { Side } from "./engines/engine.js";

/** The three environment variables, as booleans. */
export interface Flags {
  readonly primary: boolean;
  readonly read: boolean;
  readonly shadow: boolean;
}

export type RouteName = "sqlite" | "shadow" | "read" | "read-unshadowed" | "postgres" | "postgres-shadowed";

/** Where each operation goes. Built once from the flags, never changes. */
export interface Route {
  readonly name: RouteName;
  readonly primary: Side;
  readonly reads: Side;
  /** The side that the relay brings up to date; null where the journal only records. */
  readonly shadow: Side | null;
}

const routes: Record<RouteName, Route> = {
  sqlite: { name: "sqlite", primary: "sqlite", reads: "sqlite", shadow: null },
  shadow: { name: "shadow", primary: "sqlite", reads: "sqlite", shadow: "postgres" },
  read: { name: "read", primary: "sqlite", reads: "postgres", shadow: "postgres" },
  "read-unshadowed": { name: "read-unshadowed", primary: "sqlite", reads: "postgres", shadow: null },
  postgres: { name: "postgres", primary: "postgres", reads: "postgres", shadow: null },
  "postgres-shadowed": { name: "postgres-shadowed", primary: "postgres", reads: "postgres", shadow: "sqlite" },
};

/** The route that the flags ask for. */
export function routeOf({ primary, read, shadow }: Flags): Route {
  if (primary) return shadow ? routes["postgres-shadowed"] : routes.postgres;
  if (read) return shadow ? routes.read : routes["read-unshadowed"];
  return shadow ? routes.shadow : routes.sqlite;
}

/** The route of a process whose flags ask for one side while the states say that the other is primary: the states rule. */
export function routeUnder(flags: Flags, primary: Side): Route {
  return routeOf({ ...flags, primary: primary === "postgres" });
}
