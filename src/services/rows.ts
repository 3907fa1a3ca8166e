import type { Adapter, PerSide } from "../adapter.js";
import { encodeKey } from "../data/key.js";
import type { Table } from "../data/table.js";
import { countColumns } from "./statements.js";

/** Many records of one table, by a statement that selects `columnsOf` it. */
export async function readRecords<T>(adapter: Adapter, table: Table, statement: PerSide): Promise<T[]> {
  return (await adapter.read({ statement, tables: [table.name], columns: table.columns })) as T[];
}

/** One record by its id, or null. */
export async function readById<T>(adapter: Adapter, table: Table, statement: PerSide, id: string): Promise<T | null> {
  const rows = await adapter.read({ statement, tables: [table.name], key: encodeKey([id]), columns: table.columns });
  return (rows[0] ?? null) as T | null;
}

/** The number that a COUNT gives. */
export async function readCount(adapter: Adapter, table: Table, statement: PerSide): Promise<number> {
  const [row] = await adapter.read({ statement, tables: [table.name], columns: countColumns });
  return Number(row?.count ?? 0);
}

/** Runs one statement; whether there was a row that it changed. */
export async function changed(adapter: Adapter, statement: PerSide): Promise<boolean> {
  const [result] = await adapter.write([statement]);
  return (result?.changes ?? 0) > 0;
}
