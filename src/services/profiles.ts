import sql, { join, raw } from "sql-template-tag";
import { z } from "zod";
import { DualDbError, hasCode } from "../errors.js";
import { checked, checkedText, invalid, limit, optionalJson, optionalNumber, optionalText, text } from "./inputs.js";
import { type ServiceParts, type Source, sourceOf } from "./parts.js";
import { assignmentsOf } from "./profile-changes.js";
import {
  type AnalysisRecord,
  analyses,
  type UserProfileChanges,
  type UserProfileRecord,
  userProfiles,
} from "./records.js";
import { changed, readRecords } from "./rows.js";
import {
  assembled,
  prepared,
  preparedInsert,
  preparedLookup,
  preparedUpsert,
  recordOf,
  selectFrom,
} from "./statements.js";
import type { JsonInput, NumberInput } from "./values.js";

/** What the bot makes of its users. Every wrong input is VALIDATION_FAILED, before any SQL. */
export interface UserProfileService {
  getUserProfile(userId: string): Promise<UserProfileRecord | null>;
  /** → the profile's id. CONSTRAINT_VIOLATED where the user has one; VALIDATION_FAILED where the arguments seem to be swapped. */
  createUserProfile(userId: string, username: string): Promise<string>;
  /**
   * The user's profile, made where there is none, with this username; one statement, so that any number of calls at once give the same.
   * VALIDATION_FAILED where the arguments seem to be swapped: a username of 17 to 20 digits next to a userId that is none.
   */
  getOrCreateUserProfile(userId: string, username: string): Promise<UserProfileRecord>;
  /** Sets columns by their names (undefined is skipped, null empties), and `updated_at`. Whether there was such a profile. */
  updateUserProfile(userId: string, changes: UserProfileChanges): Promise<boolean>;
  /** One message more, and the time of it as the last interaction. Whether there was such a profile. */
  incrementMessageCount(userId: string): Promise<boolean>;
  /** Keeps what an analysis found. → the entry's id. CONSTRAINT_VIOLATED where the user has no profile. */
  saveAnalysisHistory(
    userId: string,
    feelings: JsonInput,
    personality: JsonInput,
    messageCount: NumberInput,
    changesSummary?: string | null,
  ): Promise<string>;
  /** Newest first. `limit` from 1 to 1,000; 0 or absent is 10. */
  getAnalysisHistory(userId: string, limit?: NumberInput): Promise<AnalysisRecord[]>;
  /**
   * Profiles that were never analysed, or that have had an interaction after the second of their last analysis (`last_analyzed_at`,
   * which the caller sets): never analysed first, then those whose analysis is oldest, so that nobody waits for ever. `limit` from 1 to
   * 1,000; 0 or absent is 100.
   */
  getUsersNeedingAnalysis(limit?: NumberInput): Promise<UserProfileRecord[]>;
  /** Last interaction first. `limit` from 1 to 1,000; 0 or absent is 1,000. */
  getAllUserProfiles(limit?: NumberInput): Promise<UserProfileRecord[]>;
}

export function createUserProfileService(parts: ServiceParts): UserProfileService {
  const source = sourceOf(parts);
  return {
    getUserProfile: (userId) => getUserProfile(source, userId),
    createUserProfile: (userId, username) => createUserProfile(source, userId, username),
    getOrCreateUserProfile: (userId, username) => getOrCreateUserProfile(source, userId, username),
    updateUserProfile: (userId, changes) => updateUserProfile(source, userId, changes),
    incrementMessageCount: (userId) => incrementMessageCount(source, userId),
    saveAnalysisHistory: (userId, feelings, personality, messageCount, changesSummary) =>
      saveAnalysisHistory(source, { userId, feelings, personality, messageCount, changesSummary }),
    getAnalysisHistory: (userId, most) => getAnalysisHistory(source, userId, most),
    getUsersNeedingAnalysis: (most) => getUsersNeedingAnalysis(source, most),
    getAllUserProfiles: (most) => getAllUserProfiles(source, most),
  };
}

const checkAnalysis = checked(
  "saveAnalysisHistory",
  analyses,
  z.object({
    userId: text,
    feelings: optionalJson,
    personality: optionalJson,
    messageCount: optionalNumber("integer"),
    changesSummary: optionalText,
  }),
);
const checkHistory = checked("getAnalysisHistory", analyses, z.object({ userId: text, limit: limit(10) }));
const checkNeeding = checked("getUsersNeedingAnalysis", userProfiles, z.object({ limit: limit(100) }));
const checkAll = checked("getAllUserProfiles", userProfiles, z.object({ limit: limit(1_000) }));

const newProfileColumns = [
  "id",
  "user_id",
  "username",
  "appearance_confidence",
  "message_count",
  "first_seen_at",
  "last_interaction_at",
  "created_at",
  "updated_at",
] as const;
const insertProfile = preparedInsert(userProfiles, newProfileColumns);
const upsertProfile = preparedUpsert(
  userProfiles,
  newProfileColumns,
  sql`ON CONFLICT (user_id) DO UPDATE SET username = excluded.username`,
);
const selectProfiles = selectFrom(userProfiles);
const profileOfUser = preparedLookup(userProfiles, "user_id");
/** A count that is as high as the column goes stays there. */
const countMessage = prepared(sql`UPDATE user_profiles SET last_interaction_at = ${null}, updated_at = ${null},
  message_count = CASE WHEN message_count >= 2147483647 THEN message_count ELSE COALESCE(message_count, 0) + 1 END
  WHERE user_id = ${null}`);
const insertAnalysis = preparedInsert(
  analyses,
  analyses.columns.map(({ name }) => name as keyof AnalysisRecord),
);
const newestAnalyses = prepared(
  sql`${selectFrom(analyses)} WHERE user_id = ${null} ORDER BY analysis_timestamp DESC, id DESC LIMIT ${null}`,
);
const longestUnanalysed = prepared(
  sql`${selectProfiles} WHERE last_analyzed_at IS NULL OR last_interaction_at > last_analyzed_at
    ORDER BY last_analyzed_at NULLS FIRST, id LIMIT ${null}`,
);
const lastSeen = prepared(sql`${selectProfiles} ORDER BY last_interaction_at DESC, id DESC LIMIT ${null}`);

async function getUserProfile({ adapter }: Source, user: string): Promise<UserProfileRecord | null> {
  const userId = checkedText("getUserProfile", "userId", user, userProfiles);
  const [profile] = await readRecords<UserProfileRecord>(adapter, userProfiles, profileOfUser(userId));
  return profile ?? null;
}

async function createUserProfile(source: Source, user: string, name: string): Promise<string> {
  const row = newProfile("createUserProfile", source, user, name);
  await source.adapter.write([insertProfile(row)]).catch((error: unknown) => {
    const message = "createUserProfile: the user has a profile already; getOrCreateUserProfile gives it";
    throw explained(error, message, userProfiles.name);
  });
  return row.id;
}

async function getOrCreateUserProfile(source: Source, user: string, name: string): Promise<UserProfileRecord> {
  const row = newProfile("getOrCreateUserProfile", source, user, name);
  const [result] = await source.adapter.write([upsertProfile(row)]);
  return recordOf(userProfiles, result?.rows[0]);
}

function newProfile(functionName: string, source: Source, user: string, name: string) {
  const userId = checkedText(functionName, "userId", user, userProfiles);
  const username = checkedText(functionName, "username", name, userProfiles);
  if (snowflake.test(username) && !snowflake.test(userId)) {
    const reason = "expected a Discord id; userId and username seem to be swapped";
    throw invalid(functionName, "userId", reason, userProfiles);
  }
  const now = source.seconds();
  const times = { first_seen_at: now, last_interaction_at: now, created_at: now, updated_at: now };
  return { id: source.newId(), user_id: userId, username, appearance_confidence: 0, message_count: 0, ...times };
}

const snowflake = /^\d{17,20}$/;

async function updateUserProfile({ adapter, seconds }: Source, user: string, changes: UserProfileChanges) {
  const userId = checkedText("updateUserProfile", "userId", user, userProfiles);
  const assignments = assignmentsOf(changes, seconds());
  const set = join(assignments.map(({ column, value }) => sql`${raw(`${column} = `)}${value}`));
  return changed(adapter, assembled(sql`UPDATE user_profiles SET ${set} WHERE user_id = ${userId}`));
}

async function incrementMessageCount({ adapter, seconds }: Source, user: string): Promise<boolean> {
  const userId = checkedText("incrementMessageCount", "userId", user, userProfiles);
  const now = seconds();
  return changed(adapter, countMessage([now, now, userId]));
}

async function saveAnalysisHistory(source: Source, input: unknown): Promise<string> {
  const { userId, feelings, personality, messageCount, changesSummary } = checkAnalysis(input);
  const id = source.newId();
  const now = source.seconds();
  const found = { feelings_snapshot: feelings, personality_snapshot: personality, changes_summary: changesSummary };
  const times = { analysis_timestamp: now, created_at: now };
  const row = { id, user_id: userId, ...times, ...found, message_count_at_analysis: messageCount };
  await source.adapter.write([insertAnalysis(row)]).catch((error: unknown) => {
    const message = "saveAnalysisHistory: the user has no profile; getOrCreateUserProfile makes one";
    throw explained(error, message, analyses.name);
  });
  return id;
}

function explained(error: unknown, message: string, table: string): unknown {
  if (!hasCode(error, "CONSTRAINT_VIOLATED")) return error;
  return new DualDbError("CONSTRAINT_VIOLATED", message, { cause: error, side: error.side, table, column: "user_id" });
}

async function getAnalysisHistory({ adapter }: Source, user: string, most?: NumberInput): Promise<AnalysisRecord[]> {
  const page = checkHistory({ userId: user, limit: most });
  return readRecords(adapter, analyses, newestAnalyses([page.userId, page.limit]));
}

async function getUsersNeedingAnalysis({ adapter }: Source, most?: NumberInput): Promise<UserProfileRecord[]> {
  return readRecords(adapter, userProfiles, longestUnanalysed([checkNeeding({ limit: most }).limit]));
}

async function getAllUserProfiles({ adapter }: Source, most?: NumberInput): Promise<UserProfileRecord[]> {
  return readRecords(adapter, userProfiles, lastSeen([checkAll({ limit: most }).limit]));
}
