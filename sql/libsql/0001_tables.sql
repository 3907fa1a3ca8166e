-- dualdb: drop-triggers-naming messages_fts
-- The six tables. A file that has them already keeps them as they are; only the full-text table is made anew.

CREATE TABLE IF NOT EXISTS messages (
  id TEXT PRIMARY KEY,
  timestamp INTEGER NOT NULL,
  sender_type TEXT NOT NULL CHECK (sender_type IN ('human', 'ai', 'tool')),
  user_id TEXT,
  username TEXT,
  channel_id TEXT,
  channel_name TEXT,
  guild_id TEXT,
  message_content TEXT NOT NULL,
  tool_name TEXT,
  tool_args TEXT,
  tool_result TEXT,
  session_id TEXT,
  parent_message_id TEXT,
  metadata TEXT,
  ai_summary TEXT,
  sentiment_analysis TEXT,
  response_decision TEXT,
  interaction_type TEXT,
  user_intent TEXT,
  bot_perception TEXT,
  conversation_quality TEXT,
  created_at INTEGER DEFAULT (strftime('%s', 'now'))
);

CREATE TABLE IF NOT EXISTS queries (
  id TEXT PRIMARY KEY,
  timestamp INTEGER NOT NULL,
  user_id TEXT NOT NULL,
  username TEXT NOT NULL,
  query_text TEXT NOT NULL,
  translated_sql TEXT,
  ai_summary TEXT,
  query_result TEXT,
  result_count INTEGER,
  error TEXT,
  execution_time_ms INTEGER,
  sentiment_analysis TEXT,
  query_complexity TEXT,
  user_satisfaction TEXT,
  created_at INTEGER DEFAULT (strftime('%s', 'now'))
);

CREATE TABLE IF NOT EXISTS documents (
  id TEXT PRIMARY KEY,
  title TEXT NOT NULL,
  content TEXT NOT NULL DEFAULT '',
  created_by TEXT NOT NULL,
  created_by_username TEXT,
  created_at INTEGER DEFAULT (strftime('%s', 'now')),
  updated_at INTEGER DEFAULT (strftime('%s', 'now')),
  is_public INTEGER DEFAULT 1,
  metadata TEXT
);

CREATE TABLE IF NOT EXISTS document_collaborators (
  id TEXT PRIMARY KEY,
  document_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  user_id TEXT NOT NULL,
  username TEXT,
  role TEXT DEFAULT 'editor',
  joined_at INTEGER DEFAULT (strftime('%s', 'now')),
  UNIQUE (document_id, user_id)
);

CREATE TABLE IF NOT EXISTS user_profiles (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL UNIQUE,
  username TEXT NOT NULL,
  appearance_confidence REAL DEFAULT 0.0,
  first_seen_at INTEGER NOT NULL,
  last_interaction_at INTEGER NOT NULL,
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
  secondary_archetypes TEXT,
  primary_interests TEXT,
  expertise_areas TEXT,
  notable_patterns TEXT,
  dominant_emotions TEXT,
  feelings_json TEXT,
  personality_facets TEXT,
  uploaded_photo_metadata TEXT,
  distinctive_features TEXT,
  accessories TEXT,
  cultural_values TEXT,
  predicted_behaviors TEXT,
  world_model_adjustments TEXT,
  personal_model_adjustments TEXT,
  archetype_confidence REAL,
  attachment_confidence REAL,
  question_asking_frequency REAL,
  message_length_avg REAL,
  message_length_variance REAL,
  response_latency_avg REAL,
  emoji_usage_rate REAL,
  positive_interaction_ratio REAL,
  negative_interaction_ratio REAL,
  gender_confidence REAL,
  age_confidence REAL,
  cultural_confidence REAL,
  astrological_confidence REAL,
  prediction_confidence REAL,
  prediction_accuracy_score REAL,
  profile_integration_confidence REAL,
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
  last_analyzed_at INTEGER,
  last_photo_analyzed_at INTEGER,
  created_at INTEGER DEFAULT (strftime('%s', 'now')),
  updated_at INTEGER DEFAULT (strftime('%s', 'now')),
  last_prediction_at INTEGER
);

CREATE TABLE IF NOT EXISTS user_analysis_history (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES user_profiles (user_id) ON DELETE CASCADE,
  analysis_timestamp INTEGER NOT NULL,
  feelings_snapshot TEXT,
  personality_snapshot TEXT,
  message_count_at_analysis INTEGER,
  changes_summary TEXT,
  created_at INTEGER DEFAULT (strftime('%s', 'now'))
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
CREATE INDEX IF NOT EXISTS idx_documents_updated_at_id ON documents (updated_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS idx_documents_created_by_updated_at_id ON documents (created_by, updated_at DESC, id DESC);

CREATE INDEX IF NOT EXISTS idx_document_collaborators_document_id ON document_collaborators (document_id);
CREATE INDEX IF NOT EXISTS idx_document_collaborators_user_id ON document_collaborators (user_id);

CREATE INDEX IF NOT EXISTS idx_user_profiles_user_id ON user_profiles (user_id);
CREATE INDEX IF NOT EXISTS idx_user_profiles_last_analyzed_at ON user_profiles (last_analyzed_at);
CREATE INDEX IF NOT EXISTS idx_user_profiles_last_analyzed_at_id ON user_profiles (last_analyzed_at, id);
CREATE INDEX IF NOT EXISTS idx_user_profiles_last_interaction_at_id ON user_profiles (last_interaction_at DESC, id DESC);

CREATE INDEX IF NOT EXISTS idx_user_analysis_history_user_id ON user_analysis_history (user_id);
CREATE INDEX IF NOT EXISTS idx_user_analysis_history_analysis_timestamp ON user_analysis_history (analysis_timestamp DESC);
CREATE INDEX IF NOT EXISTS idx_user_analysis_history_user_id_analysis_timestamp_id ON user_analysis_history (user_id, analysis_timestamp DESC, id DESC);

-- Full text. An older messages_fts has another tokenizer, and triggers under other names, which the first line of this file drops.
-- The index is tied to the rowids of messages. VACUUM keeps those, since messages has an index; a file that was dumped and
-- restored has new ones, which is noticed at the next migration run (at open, too) and answered by a rebuild.
DROP TABLE IF EXISTS messages_fts;
CREATE VIRTUAL TABLE messages_fts USING fts5 (
  message_content,
  tool_name,
  username,
  content = 'messages',
  content_rowid = 'rowid',
  tokenize = 'porter unicode61 remove_diacritics 0'
);
INSERT INTO messages_fts (messages_fts) VALUES ('rebuild');

-- The row that an INSERT OR REPLACE is about to evict, which no delete trigger reports. Empty but between two triggers of one row.
CREATE TABLE IF NOT EXISTS dualdb_messages_replaced (entry INTEGER, message_content TEXT, tool_name TEXT, username TEXT);

CREATE TRIGGER messages_fts_before_insert BEFORE INSERT ON messages BEGIN
  DELETE FROM dualdb_messages_replaced;
  INSERT INTO dualdb_messages_replaced
    SELECT rowid, message_content, tool_name, username FROM messages WHERE id = NEW.id;
END;

CREATE TRIGGER messages_fts_insert AFTER INSERT ON messages BEGIN
  INSERT INTO messages_fts (messages_fts, rowid, message_content, tool_name, username)
    SELECT 'delete', entry, message_content, tool_name, username FROM dualdb_messages_replaced;
  DELETE FROM dualdb_messages_replaced;
  INSERT INTO messages_fts (rowid, message_content, tool_name, username)
    VALUES (NEW.rowid, NEW.message_content, NEW.tool_name, NEW.username);
END;

CREATE TRIGGER messages_fts_update AFTER UPDATE OF message_content, tool_name, username ON messages BEGIN
  DELETE FROM dualdb_messages_replaced;
  INSERT INTO messages_fts (messages_fts, rowid, message_content, tool_name, username)
    VALUES ('delete', OLD.rowid, OLD.message_content, OLD.tool_name, OLD.username);
  INSERT INTO messages_fts (rowid, message_content, tool_name, username)
    VALUES (NEW.rowid, NEW.message_content, NEW.tool_name, NEW.username);
END;

CREATE TRIGGER messages_fts_delete AFTER DELETE ON messages BEGIN
  DELETE FROM dualdb_messages_replaced;
  INSERT INTO messages_fts (messages_fts, rowid, message_content, tool_name, username)
    VALUES ('delete', OLD.rowid, OLD.message_content, OLD.tool_name, OLD.username);
END;
