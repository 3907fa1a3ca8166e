import type { Finding } from "../../data/finding.js";
import { isRefusal } from "../../data/refusal.js";
import type { PostgresTransaction } from "../../engines/engine.js";
import type { Batch } from "./batch.js";
import type { Loaded } from "./postgres-load.js";

/** A batch that was sent, and what became of its rows. */
export interface Sent {
  readonly batch: Batch;
  readonly loaded: Loaded;
  readonly altered: readonly Finding[];
}

/** Rows that were taken on trust are looked at where PostgreSQL refuses one of them. */
export async function withCare(batch: Batch, send: (batch: Batch) => Promise<Sent>): Promise<Sent> {
  try {
    return await send(batch);
  } catch (error) {
    const careful = batch.careful();
    if (careful === batch || !isRefusal(error)) throw error;
    return send(careful);
  }
}

export async function sent(
  target: PostgresTransaction,
  batch: Batch,
  load: (data: Batch["data"]) => Promise<Loaded>,
): Promise<Sent> {
  const loaded = await load(batch.data);
  return { batch, loaded, altered: await batch.altered(target, loaded.refused) };
}
