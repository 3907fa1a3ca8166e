import sql from "sql-template-tag";
import { DualDatabase } from "../../src/database.js";
import type { Call, Reply } from "./remote.js";

/**
 * A bot in a process of its own. Each message names a function and its arguments; the answer comes when it has happened. Statements
 * arrive as text without parameters.
 */
const database = new DualDatabase({ env: process.env }, { clock: Date.now, reached: () => {} });

process.on("message", (call: Call) => {
  void answer(call).then((reply) => process.send?.(reply));
});
process.on("disconnect", () => process.exit());
process.send?.({ id: 0, value: null } satisfies Reply);

async function answer({ id, target, name, input }: Call): Promise<Reply> {
  try {
    return { id, value: await run(target, name, input) };
  } catch (error) {
    return { id, failure: error instanceof Error ? `${Reflect.get(error, "code")} ${error.message}` : String(error) };
  }
}

async function run(target: Call["target"], name: string, input: readonly unknown[]): Promise<unknown> {
  if (name === "many") return many(Number(input[0]), String(input[1]));
  if (target === "database" && name === "write") return database.write(...input.map((text) => sql([String(text)])));
  if (target === "database" && name === "read") return database.read(sql([String(input[0])]));
  const service: unknown = target === "database" ? database : database[target];
  const method: unknown = Reflect.get(Object(service), name);
  if (typeof method !== "function") throw new Error(`no function ${name}`);
  return Reflect.apply(method, service, input);
}

/** Saves so many messages as fast as it can, two at a time; their ids. */
async function many(count: number, prefix: string): Promise<string[]> {
  const ids: string[] = [];
  const save = async (index: number) => {
    const messageContent = `${prefix} ${index}`;
    const from = { userId: "123456789012345678", username: prefix, channelId: "1", channelName: "general" };
    ids.push(await database.messageService.saveHumanMessage({ ...from, messageContent }));
  };
  for (let index = 0; index < count; index += 2)
    await Promise.all([save(index), ...(index + 1 < count ? [save(index + 1)] : [])]);
  return ids;
}
