import { v7 } from "uuid";
import type { Adapter } from "../adapter.js";
import type { Logger } from "../logger.js";

/** What every service is made of. */
export interface ServiceParts {
  readonly adapter: Adapter;
  readonly logger: Logger;
  /** Milliseconds since 1970; the system's clock by default. */
  readonly clock?: () => number;
  /** UUID v7 by default, which keep the order in which one process made them. */
  readonly newId?: () => string;
}

/** Ids and times are made here, once for both sides. */
export interface Source {
  readonly adapter: Adapter;
  readonly logger: Logger;
  newId(): string;
  /** Since 1970, in whole milliseconds. */
  milliseconds(): number;
  /** Since 1970, in whole seconds. */
  seconds(): number;
}

export function sourceOf({ adapter, logger, clock = Date.now, newId = () => v7() }: ServiceParts): Source {
  return {
    adapter,
    logger,
    newId,
    milliseconds: () => Math.trunc(clock()),
    seconds: () => Math.trunc(clock() / 1_000),
  };
}
