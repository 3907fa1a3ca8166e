// What a user's library might export. It is compiled against the packed tarball: strict, with declarations, no library's types left unchecked,
// so that every type in a public signature has to have a public name.
import * as dualdb from "dualdb";
import * as functions from "dualdb/functions";

export const everything = { ...dualdb, ...functions };

const database = dualdb.createDatabase();
const { messageService, queryService, documentService, userProfileService } = database;

export const open = () => database;
export const write = () => database.write(dualdb.sql`DELETE FROM messages`);
export const message = (id: string) => messageService.getMessageById(id);
export const queries = () => queryService.getRecentQueries();
export const documents = () => documentService.listDocuments();
export const collaborators = (id: string) => documentService.getDocumentCollaborators(id);
export const profile = (userId: string) => userProfileService.getUserProfile(userId);
export const analyses = (userId: string) => userProfileService.getAnalysisHistory(userId);

export async function status() {
  const { sqlite, postgres, relay, ...rest } = await database.status();
  const sides = { sqlite: sqlite?.reachable && { ...sqlite }, postgres: postgres?.reachable && { ...postgres } };
  return { ...rest, ...sides, relay: { ...relay }, conflicts: [...rest.conflicts], reads: rest.reads };
}

/** Columns are known to whoever wrote the SELECT: an interface will do. */
interface Count {
  readonly user_id: string;
  readonly n: number;
}
export const counts = () =>
  database.read<Count>(dualdb.sql`SELECT user_id, count(*) AS n FROM messages GROUP BY user_id`);
export const rows = () => database.read(dualdb.sql`SELECT 1 AS one`);
// @ts-expect-error: neither side gives a boolean or a Date
export const never = () => database.read<{ at: Date; ok: boolean }>(dualdb.sql`SELECT 1 AS ok`);

/** Records are plain rows to code that knows nothing of them. */
export const plain: (record: dualdb.UserProfileRecord) => Record<string, unknown> = (record) => record;

/** `true` where whatever an input leaves open may be undefined, too. */
type TakesUndefined<Input> = {
  readonly [Name in keyof Input]: object extends Pick<Input, Name> ? Input[Name] | undefined : Input[Name];
} extends Input
  ? true
  : never;

export const taken: TakesUndefined<dualdb.DatabaseOptions> &
  TakesUndefined<dualdb.DrainOptions> &
  TakesUndefined<dualdb.HumanMessage> &
  TakesUndefined<dualdb.AIMessage> &
  TakesUndefined<dualdb.ToolExecution> &
  TakesUndefined<dualdb.MessageFilter> &
  TakesUndefined<dualdb.MessageAnalysis> &
  TakesUndefined<dualdb.SavedQuery> &
  TakesUndefined<dualdb.QueryFilter> &
  TakesUndefined<dualdb.QueryAnalysis> &
  TakesUndefined<dualdb.NewDocument> &
  TakesUndefined<dualdb.DocumentFilter> &
  TakesUndefined<dualdb.NewCollaborator> &
  TakesUndefined<dualdb.UserProfileChanges> = true;
