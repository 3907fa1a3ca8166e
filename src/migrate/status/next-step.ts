import { postgresVariables } from "../../config.js";
import { routeOf, routeUnder } from "../../route.js";
import type { GateName } from "../gates.js";
import { answers, type Sight, sideNames, stateIn } from "./sight.js";

/** What to do next on the way to PostgreSQL, from where the databases and the flags are now. */
export interface Plan {
  /** The gate that has to be green first; null where nothing stands in the way, or there is no way. */
  readonly gate: GateName | null;
  /** The variables to set, and then to restart the application. */
  readonly set: Readonly<Record<string, string>>;
  /** The command to run; null where variables are to be set. */
  readonly command: string | null;
  readonly text: string;
}

const shadow = { USE_POSTGRES_SHADOW: "true" };
const read = { ...shadow, USE_POSTGRES_READ: "true" };
const postgres = { ...shadow, USE_POSTGRES_PRIMARY: "true" };

/** One step, never two: each can be taken back before the next. */
export function planNext(sight: Sight): Plan {
  const { flags, postgres: target } = sight.config;
  const [left, right] = [stateIn(sight.sqlite), stateIn(sight.postgres)];
  if (target === null) return setting(null, {}, `Name a PostgreSQL: set ${postgresVariables}.`);
  if (right?.finalized === true) return setting(null, {}, "Nothing: PostgreSQL goes on alone.");
  if (left?.finalized === true) return running(null, "dualdb finalize", "Finalizing was begun: finish it.");
  if (!answers(sight.postgres.status)) return setting(null, {}, "Make PostgreSQL reachable, and look again.");
  const isNew = left === null ? answers(sight.sqlite.status) : left.pairId === null;
  if (right === null || right.pairId === null || isNew)
    return running(null, "dualdb migrate", "Bring the databases together.");
  const primary = left !== null && left.primary === "sqlite" ? "sqlite" : right.primary;
  if (left !== null && (left.primary !== right.primary || left.forced))
    return setting(null, {}, "Let the application run until the change of the primary is complete.");
  if (primary === "postgres") return fromPostgres(flags.primary, flags.shadow);
  if (routeOf(flags).name !== routeUnder(flags, primary).name)
    return setting("postgres", variablesOf(flags), `${sideNames[primary]} is still primary: restart the application.`);
  if (!flags.shadow) return setting("shadow", shadow, "Let PostgreSQL follow.");
  if (!flags.read) return setting("read", read, "Let PostgreSQL answer reads.");
  return setting("postgres", postgres, "Make PostgreSQL primary, and SQLite its shadow.");
}

function fromPostgres(primary: boolean, isShadowed: boolean): Plan {
  if (!primary)
    return setting(
      null,
      postgres,
      "PostgreSQL is primary. To stay there, set the flags; without, the next start rolls back.",
    );
  if (!isShadowed) return setting(null, postgres, "Let SQLite follow again, before you end the way back.");
  return running("finalize", "dualdb finalize", "End the way back, when nobody wants it any more.");
}

function variablesOf({ shadow: isShadowed }: { readonly shadow: boolean }): Readonly<Record<string, string>> {
  return isShadowed ? postgres : { USE_POSTGRES_PRIMARY: "true" };
}

function setting(gate: GateName | null, set: Readonly<Record<string, string>>, text: string): Plan {
  return { gate, set, command: null, text };
}

function running(gate: GateName | null, command: string, text: string): Plan {
  return { gate, set: {}, command: `npx ${command}`, text };
}
