import type { DualDatabase } from "../../src/database.js";
import { type PlainStatement, statement } from "./statements.js";

/** One call that a bot makes because it was told to. */
export type Request =
  | { readonly to: "write"; readonly statements: readonly PlainStatement[] }
  | { readonly to: "read"; readonly statement: PlainStatement }
  | { readonly to: "message"; readonly id: string }
  | { readonly to: "messages"; readonly userId: string }
  | { readonly to: "count"; readonly userId: string }
  | { readonly to: "analyses"; readonly userId: string };

export type Reply =
  | { readonly rows: readonly Readonly<Record<string, unknown>>[] }
  | { readonly code: string; readonly message: string };

/** The rows that the database answers; a write has none. */
export async function perform(database: DualDatabase, request: Request): Promise<object[]> {
  const { messageService, userProfileService } = database;
  switch (request.to) {
    case "write":
      await database.write(...request.statements.map(statement));
      return [];
    case "read":
      return database.read(statement(request.statement));
    case "message":
      return [await messageService.getMessageById(request.id)].filter((record) => record !== null);
    case "messages":
      return messageService.queryMessages({ userId: request.userId, limit: 1_000 });
    case "count":
      return [{ count: await messageService.getMessageCount({ userId: request.userId }) }];
    case "analyses":
      return userProfileService.getAnalysisHistory(request.userId);
  }
}
