-- The six tables. COLLATE "C" makes the order of ids that of SQLite; DOUBLE PRECISION is SQLite's REAL.

CREATE TABLE IF NOT EXISTS messages (
  id TEXT COLLATE "C" PRIMARY KEY,
  timestamp BIGINT NOT NULL,
  sender_type TEXT NOT NULL CHECK (sender_type IN ('human', 'ai', 'tool')),
  user_id TEXT COLLATE "C",
  username TEXT,
  channel_id TEXT COLLATE "C",
  channel_name TEXT,
  guild_id TEXT COLLATE "C",
  message_content TEXT NOT NULL,
  tool_name TEXT,
  tool_args TEXT,
  tool_result TEXT,
  session_id TEXT COLLATE "C",
  parent_message_id TEXT COLLATE "C",
  metadata JSONB,
  ai_summary TEXT,
  sentiment_analysis JSONB,
  response_decision JSONB,
  interaction_type TEXT,
  user_intent TEXT,
  bot_perception TEXT,
  conversation_quality TEXT,
  created_at BIGINT DEFAULT (EXTRACT(EPOCH FROM NOW())::BIGINT)
);

CREATE TABLE IF NOT EXISTS queries (
  id TEXT COLLATE "C" PRIMARY KEY,
  timestamp BIGINT NOT NULL,
  user_id TEXT COLLATE "C" NOT NULL,
  username TEXT NOT NULL,
  query_text TEXT NOT NULL,
  translated_sql TEXT,
  ai_summary TEXT,
  query_result JSONB,
  result_count INTEGER,
  error TEXT,
  execution_time_ms INTEGER,
  sentiment_analysis JSONB,
  query_complexity TEXT,
  user_satisfaction TEXT,
  created_at BIGINT DEFAULT (EXTRACT(EPOCH FROM NOW())::BIGINT)
);

CREATE TABLE IF NOT EXISTS documents (
  id TEXT COLLATE "C" PRIMARY KEY,
  title TEXT NOT NULL,
  content TEXT NOT NULL DEFAULT '',
  created_by TEXT COLLATE "C" NOT NULL,
  created_by_username TEXT,
  created_at BIGINT DEFAULT (EXTRACT(EPOCH FROM NOW())::BIGINT),
  updated_at BIGINT DEFAULT (EXTRACT(EPOCH FROM NOW())::BIGINT),
  is_public BOOLEAN DEFAULT TRUE,
  metadata JSONB
);

CREATE TABLE IF NOT EXISTS document_collaborators (
  id TEXT COLLATE "C" PRIMARY KEY,
  document_id TEXT COLLATE "C" NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  user_id TEXT COLLATE "C" NOT NULL,
  username TEXT,
  role TEXT DEFAULT 'editor',
  joined_at BIGINT DEFAULT (EXTRACT(EPOCH FROM NOW())::BIGINT),
  UNIQUE (document_id, user_id)
);

CREATE TABLE IF NOT EXISTS user_profiles (
  id TEXT COLLATE "C" PRIMARY KEY,
  user_id TEXT COLLATE "C" NOT NULL UNIQUE,
  username TEXT NOT NULL,
  appearance_confidence DOUBLE PRECISION DEFAULT 0.0,
  first_seen_at BIGINT NOT NULL,
  last_interaction_at BIGINT NOT NULL,
  message_count INTEGER DEFAULT 0,
  dominant_archetype TEXT,
  shadow_archetype TEXT,
  attachment_style TEXT,
  communication_formality TEXT,
  communication_assertiveness TEXT,
  communication_engagement TEXT,
  conflict_style TEXT,
  humor_style TEXT,
  punctuation_style TEXT,
  capitalization_pattern TEXT,
  technical_knowledge_level TEXT,
  emotional_bond TEXT,
  omega_thoughts TEXT,
  overall_sentiment TEXT,
  uploaded_photo_url TEXT,
  ai_appearance_description TEXT,
  ai_detected_gender TEXT,
  estimated_age_range TEXT,
  face_shape TEXT,
  jawline_prominence TEXT,
  cheekbone_prominence TEXT,
  hair_color TEXT,
  hair_texture TEXT,
  hair_length TEXT,
  hair_style TEXT,
  hair_density TEXT,
  facial_hair TEXT,
  eye_color TEXT,
  eye_shape TEXT,
  eye_spacing TEXT,
  eyebrow_shape TEXT,
  eyebrow_thickness TEXT,
  nose_shape TEXT,
  nose_size TEXT,
  lip_fullness TEXT,
  smile_type TEXT,
  skin_tone TEXT,
  skin_texture TEXT,
  complexion_quality TEXT,
  body_type TEXT,
  build_description TEXT,
  height_estimate TEXT,
  posture TEXT,
  clothing_style TEXT,
  attractiveness_assessment TEXT,
  perceived_confidence_level TEXT,
  aesthetic_archetype TEXT,
  cultural_background TEXT,
  cultural_communication_style TEXT,
  zodiac_sign TEXT,
  zodiac_element TEXT,
  zodiac_modality TEXT,
  birth_date TEXT,
  prediction_timeframe TEXT,
  integrated_profile_summary TEXT,
  secondary_archetypes JSONB,
  primary_interests JSONB,
  expertise_areas JSONB,
  notable_patterns JSONB,
  dominant_emotions JSONB,
  feelings_json JSONB,
  personality_facets JSONB,
  uploaded_photo_metadata JSONB,
  distinctive_features JSONB,
  accessories JSONB,
  cultural_values JSONB,
  predicted_behaviors JSONB,
  world_model_adjustments JSONB,
  personal_model_adjustments JSONB,
  archetype_confidence DOUBLE PRECISION,
  attachment_confidence DOUBLE PRECISION,
  question_asking_frequency DOUBLE PRECISION,
  message_length_avg DOUBLE PRECISION,
  message_length_variance DOUBLE PRECISION,
  response_latency_avg DOUBLE PRECISION,
  emoji_usage_rate DOUBLE PRECISION,
  positive_interaction_ratio DOUBLE PRECISION,
  negative_interaction_ratio DOUBLE PRECISION,
  gender_confidence DOUBLE PRECISION,
  age_confidence DOUBLE PRECISION,
  cultural_confidence DOUBLE PRECISION,
  astrological_confidence DOUBLE PRECISION,
  prediction_confidence DOUBLE PRECISION,
  prediction_accuracy_score DOUBLE PRECISION,
  profile_integration_confidence DOUBLE PRECISION,
  openness_score INTEGER,
  conscientiousness_score INTEGER,
  extraversion_score INTEGER,
  agreeableness_score INTEGER,
  neuroticism_score INTEGER,
  emotional_awareness_score INTEGER,
  empathy_score INTEGER,
  emotional_regulation_score INTEGER,
  verbal_fluency_score INTEGER,
  analytical_thinking_score INTEGER,
  creative_thinking_score INTEGER,
  abstract_reasoning_score INTEGER,
  concrete_thinking_score INTEGER,
  social_dominance_score INTEGER,
  cooperation_score INTEGER,
  affinity_score INTEGER,
  trust_level INTEGER,
  facial_symmetry_score INTEGER,
  approachability_score INTEGER,
  last_analyzed_at BIGINT,
  last_photo_analyzed_at BIGINT,
  created_at BIGINT DEFAULT (EXTRACT(EPOCH FROM NOW())::BIGINT),
  updated_at BIGINT DEFAULT (EXTRACT(EPOCH FROM NOW())::BIGINT),
  last_prediction_at BIGINT
);

CREATE TABLE IF NOT EXISTS user_analysis_history (
  id TEXT COLLATE "C" PRIMARY KEY,
  user_id TEXT COLLATE "C" NOT NULL REFERENCES user_profiles (user_id) ON DELETE CASCADE,
  analysis_timestamp BIGINT NOT NULL,
  feelings_snapshot JSONB,
  personality_snapshot JSONB,
  message_count_at_analysis INTEGER,
  changes_summary TEXT,
  created_at BIGINT DEFAULT (EXTRACT(EPOCH FROM NOW())::BIGINT)
);

-- An index that ends in "timestamp DESC, id DESC" (or the like) serves a filtered, ordered page of a list.
CREATE INDEX IF NOT EXISTS idx_messages_timestamp ON messages (timestamp DESC);
CREATE INDEX IF NOT EXISTS idx_messages_user_id ON messages (user_id);
CREATE INDEX IF NOT EXISTS idx_messages_sender_type ON messages (sender_type);
CREATE INDEX IF NOT EXISTS idx_messages_channel_id ON messages (channel_id);
CREATE INDEX IF NOT EXISTS idx_messages_session_id ON messages (session_id);
CREATE INDEX IF NOT EXISTS idx_messages_timestamp_id ON messages (timestamp DESC, id DESC);
CREATE INDEX IF NOT EXISTS idx_messages_user_id_timestamp_id ON messages (user_id, timestamp DESC, id DESC);
CREATE INDEX IF NOT EXISTS idx_messages_channel_id_timestamp_id ON messages (channel_id, timestamp DESC, id DESC);
CREATE INDEX IF NOT EXISTS idx_messages_guild_id_timestamp_id ON messages (guild_id, timestamp DESC, id DESC);
CREATE INDEX IF NOT EXISTS idx_messages_sender_type_timestamp_id ON messages (sender_type, timestamp DESC, id DESC);

CREATE INDEX IF NOT EXISTS idx_queries_timestamp ON queries (timestamp DESC);
CREATE INDEX IF NOT EXISTS idx_queries_user_id ON queries (user_id);
CREATE INDEX IF NOT EXISTS idx_queries_timestamp_id ON queries (timestamp DESC, id DESC);
CREATE INDEX IF NOT EXISTS idx_queries_user_id_timestamp_id ON queries (user_id, timestamp DESC, id DESC);

CREATE INDEX IF NOT EXISTS idx_documents_created_by ON documents (created_by);
CREATE INDEX IF NOT EXISTS idx_documents_created_at ON documents (created_at DESC);
CREATE INDEX IF NOT EXISTS idx_documents_updated_at ON documents (updated_at DESC);
CREATE INDEX IF NOT EXISTS idx_documents_updated_at_id ON documents (updated_at DESC NULLS LAST, id DESC);
CREATE INDEX IF NOT EXISTS idx_documents_created_by_updated_at_id ON documents (created_by, updated_at DESC NULLS LAST, id DESC);

CREATE INDEX IF NOT EXISTS idx_document_collaborators_document_id ON document_collaborators (document_id);
CREATE INDEX IF NOT EXISTS idx_document_collaborators_user_id ON document_collaborators (user_id);

CREATE INDEX IF NOT EXISTS idx_user_profiles_user_id ON user_profiles (user_id);
CREATE INDEX IF NOT EXISTS idx_user_profiles_last_analyzed_at ON user_profiles (last_analyzed_at);
CREATE INDEX IF NOT EXISTS idx_user_profiles_last_analyzed_at_id ON user_profiles (last_analyzed_at NULLS FIRST, id);
CREATE INDEX IF NOT EXISTS idx_user_profiles_last_interaction_at_id ON user_profiles (last_interaction_at DESC, id DESC);

CREATE INDEX IF NOT EXISTS idx_user_analysis_history_user_id ON user_analysis_history (user_id);
CREATE INDEX IF NOT EXISTS idx_user_analysis_history_analysis_timestamp ON user_analysis_history (analysis_timestamp DESC);
CREATE INDEX IF NOT EXISTS idx_user_analysis_history_user_id_analysis_timestamp_id ON user_analysis_history (user_id, analysis_timestamp DESC, id DESC);

-- Full text. src/services/search.ts must use this very expression, or PostgreSQL passes the index over. ASCII punctuation becomes
-- spaces, since the parser would else make one token of a URL, a path or "node.js".
CREATE INDEX IF NOT EXISTS idx_messages_search ON messages USING gin (
  to_tsvector('english', translate(COALESCE(message_content, '') || ' ' || COALESCE(tool_name, '') || ' ' || COALESCE(username, ''), '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', '                                '))
);
