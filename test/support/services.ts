import type { Engine } from "../../src/engines/engine.js";
import type { Logger } from "../../src/logger.js";
import { createDocumentService, type DocumentService } from "../../src/services/documents.js";
import { type AnalyzeMessage, createMessageService, type MessageService } from "../../src/services/messages.js";
import { createUserProfileService, type UserProfileService } from "../../src/services/profiles.js";
import { type AnalyzeQuery, createQueryService, type QueryService } from "../../src/services/queries.js";
import { type RecordingAdapter, recordingAdapter } from "./recording-adapter.js";
import type { ServiceSide } from "./service-sides.js";

/** The four services on a new database of one side. */
export interface Services {
  readonly adapter: RecordingAdapter;
  /** The primary's, for what a test looks at or puts there past the services. */
  readonly engine: Engine;
  readonly messages: MessageService;
  readonly queries: QueryService;
  readonly documents: DocumentService;
  readonly profiles: UserProfileService;
  /** The services' time, in milliseconds; a test moves it on. */
  now: number;
  /** What was logged as a warning. */
  readonly warnings: readonly object[];
  close(): Promise<void>;
}

export interface ServiceOptions {
  readonly analyzeMessage?: AnalyzeMessage;
  readonly analyzeQuery?: AnalyzeQuery;
  readonly analysisTimeoutMs?: number;
}

export async function openServices(side: ServiceSide, options: ServiceOptions = {}): Promise<Services> {
  const opened = await side.open();
  const adapter = recordingAdapter(opened.adapter, side.side);
  const warnings: object[] = [];
  const logger: Logger = { debug() {}, info() {}, warn: (fields) => warnings.push(fields), error() {} };
  const { analyzeMessage, analyzeQuery, analysisTimeoutMs = 30_000 } = options;
  const parts = { adapter, logger, clock: () => services.now, analysisTimeoutMs };
  const services: Services = {
    adapter,
    engine: opened.engine,
    messages: createMessageService({ ...parts, analyze: analyzeMessage }),
    queries: createQueryService({ ...parts, analyze: analyzeQuery }),
    documents: createDocumentService(parts),
    profiles: createUserProfileService(parts),
    now: 1_700_000_000_000,
    warnings,
    close: () => opened.close(),
  };
  return services;
}

/** Where and from whom the messages of the tests are. */
export const origin = {
  userId: "123456789012345678",
  username: "ada",
  channelId: "223456789012345678",
  channelName: "general",
};
