import { type InputOf, nullable, required, tableOf, type ValueOf } from "./fields.js";

/** Who a message is from. */
export type SenderType = "human" | "ai" | "tool";

const messageFields = {
  ...required("text", "id"),
  ...required("bigint", "timestamp"),
  ...required("text", "sender_type"),
  ...nullable("text", "user_id", "username", "channel_id", "channel_name", "guild_id"),
  ...required("text", "message_content"),
  ...nullable("text", "tool_name", "tool_args", "tool_result", "session_id", "parent_message_id"),
  ...nullable("json", "metadata"),
  ...nullable("text", "ai_summary"),
  ...nullable("json", "sentiment_analysis", "response_decision"),
  ...nullable("text", "interaction_type", "user_intent", "bot_perception", "conversation_quality"),
  ...nullable("bigint", "created_at"),
};

const queryFields = {
  ...required("text", "id"),
  ...required("bigint", "timestamp"),
  ...required("text", "user_id", "username", "query_text"),
  ...nullable("text", "translated_sql", "ai_summary"),
  ...nullable("json", "query_result"),
  ...nullable("integer", "result_count"),
  ...nullable("text", "error"),
  ...nullable("integer", "execution_time_ms"),
  ...nullable("json", "sentiment_analysis"),
  ...nullable("text", "query_complexity", "user_satisfaction"),
  ...nullable("bigint", "created_at"),
};

const documentFields = {
  ...required("text", "id", "title", "content", "created_by"),
  ...nullable("text", "created_by_username"),
  ...nullable("bigint", "created_at", "updated_at"),
  ...nullable("boolean", "is_public"),
  ...nullable("json", "metadata"),
};

const collaboratorFields = {
  ...required("text", "id", "document_id", "user_id"),
  ...nullable("text", "username", "role"),
  ...nullable("bigint", "joined_at"),
};

const userProfileFields = {
  ...required("text", "id", "user_id", "username"),
  ...nullable("real", "appearance_confidence"),
  ...required("bigint", "first_seen_at", "last_interaction_at"),
  ...nullable("integer", "message_count"),
  ...nullable(
    "text",
    "dominant_archetype",
    "shadow_archetype",
    "attachment_style",
    "communication_formality",
    "communication_assertiveness",
    "communication_engagement",
    "conflict_style",
    "humor_style",
    "punctuation_style",
    "capitalization_pattern",
    "technical_knowledge_level",
    "emotional_bond",
    "omega_thoughts",
    "overall_sentiment",
    "uploaded_photo_url",
    "ai_appearance_description",
    "ai_detected_gender",
    "estimated_age_range",
    "face_shape",
    "jawline_prominence",
    "cheekbone_prominence",
    "hair_color",
    "hair_texture",
    "hair_length",
    "hair_style",
    "hair_density",
    "facial_hair",
    "eye_color",
    "eye_shape",
    "eye_spacing",
    "eyebrow_shape",
    "eyebrow_thickness",
    "nose_shape",
    "nose_size",
    "lip_fullness",
    "smile_type",
    "skin_tone",
    "skin_texture",
    "complexion_quality",
    "body_type",
    "build_description",
    "height_estimate",
    "posture",
    "clothing_style",
    "attractiveness_assessment",
    "perceived_confidence_level",
    "aesthetic_archetype",
    "cultural_background",
    "cultural_communication_style",
    "zodiac_sign",
    "zodiac_element",
    "zodiac_modality",
    "birth_date",
    "prediction_timeframe",
    "integrated_profile_summary",
  ),
  ...nullable(
    "json",
    "secondary_archetypes",
    "primary_interests",
    "expertise_areas",
    "notable_patterns",
    "dominant_emotions",
    "feelings_json",
    "personality_facets",
    "uploaded_photo_metadata",
    "distinctive_features",
    "accessories",
    "cultural_values",
    "predicted_behaviors",
    "world_model_adjustments",
    "personal_model_adjustments",
  ),
  ...nullable(
    "real",
    "archetype_confidence",
    "attachment_confidence",
    "question_asking_frequency",
    "message_length_avg",
    "message_length_variance",
    "response_latency_avg",
    "emoji_usage_rate",
    "positive_interaction_ratio",
    "negative_interaction_ratio",
    "gender_confidence",
    "age_confidence",
    "cultural_confidence",
    "astrological_confidence",
    "prediction_confidence",
    "prediction_accuracy_score",
    "profile_integration_confidence",
  ),
  ...nullable(
    "integer",
    "openness_score",
    "conscientiousness_score",
    "extraversion_score",
    "agreeableness_score",
    "neuroticism_score",
    "emotional_awareness_score",
    "empathy_score",
    "emotional_regulation_score",
    "verbal_fluency_score",
    "analytical_thinking_score",
    "creative_thinking_score",
    "abstract_reasoning_score",
    "concrete_thinking_score",
    "social_dominance_score",
    "cooperation_score",
    "affinity_score",
    "trust_level",
    "facial_symmetry_score",
    "approachability_score",
  ),
  ...nullable("bigint", "last_analyzed_at", "last_photo_analyzed_at", "created_at", "updated_at", "last_prediction_at"),
};

const analysisFields = {
  ...required("text", "id", "user_id"),
  ...required("bigint", "analysis_timestamp"),
  ...nullable("json", "feelings_snapshot", "personality_snapshot"),
  ...nullable("integer", "message_count_at_analysis"),
  ...nullable("text", "changes_summary"),
  ...nullable("bigint", "created_at"),
};

// Each written out, and no `RecordOf<F>`: a reader who points at one sees the columns, and a function that returns one can be exported.

/** One row of `messages`. `timestamp` is in milliseconds, `created_at` in seconds, since 1970. */
export type MessageRecord = {
  [Name in keyof typeof messageFields]: Name extends "sender_type" ? SenderType : ValueOf<(typeof messageFields)[Name]>;
};

/** One row of `queries`. `timestamp` is in milliseconds, `created_at` in seconds, since 1970. */
export type QueryRecord = { [Name in keyof typeof queryFields]: ValueOf<(typeof queryFields)[Name]> };

/** One row of `documents`. Times are in seconds since 1970. */
export type DocumentRecord = { [Name in keyof typeof documentFields]: ValueOf<(typeof documentFields)[Name]> };

/** One row of `document_collaborators`. `joined_at` is in seconds since 1970. */
export type CollaboratorRecord = {
  [Name in keyof typeof collaboratorFields]: ValueOf<(typeof collaboratorFields)[Name]>;
};

/** One row of `user_profiles`: 116 columns, times in seconds since 1970. */
export type UserProfileRecord = { [Name in keyof typeof userProfileFields]: ValueOf<(typeof userProfileFields)[Name]> };

/** One row of `user_analysis_history`. Times are in seconds since 1970. */
export type AnalysisRecord = { [Name in keyof typeof analysisFields]: ValueOf<(typeof analysisFields)[Name]> };

/** The columns of a profile that an update may set. */
export type UserProfileChanges = {
  readonly [Name in Exclude<keyof typeof userProfileFields, ProtectedColumn>]?: InputOf<
    (typeof userProfileFields)[Name]
  >;
};

/** The columns of a profile that no update may set. */
export type ProtectedColumn = (typeof protectedColumns)[number];
export const protectedColumns = ["id", "user_id", "created_at"] as const;

export const messages = tableOf("messages", messageFields);
export const queries = tableOf("queries", queryFields);
export const documents = tableOf("documents", documentFields);
export const collaborators = tableOf("document_collaborators", collaboratorFields, {
  uniques: [["document_id", "user_id"]],
  foreignKeys: [{ columns: ["document_id"], parent: "documents", parentColumns: ["id"] }],
});
export const userProfiles = tableOf("user_profiles", userProfileFields, { uniques: [["user_id"]] });
export const analyses = tableOf("user_analysis_history", analysisFields, {
  foreignKeys: [{ columns: ["user_id"], parent: "user_profiles", parentColumns: ["user_id"] }],
});

/** The six tables, parents first. */
export const tables = [messages, queries, documents, collaborators, userProfiles, analyses] as const;
