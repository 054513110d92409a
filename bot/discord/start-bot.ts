/** Puts the bot together from its settings, and takes it down again. */
import { randomInt, randomUUID } from "node:crypto";
import type { Client } from "discord.js";
import type { Redis } from "ioredis";
import { type Clock, systemClock } from "#engine/base/clock.ts";
import type { Config } from "#engine/base/config.ts";
import { CodedError } from "#engine/base/errors.ts";
import type { Logger } from "#engine/base/log.ts";
import { EngineClient } from "#engine/client/engine-client.ts";
import { loadPrompt } from "#prompts/load.ts";
import { ConsentBook } from "#trainer/feedback/consent.ts";
import { KeyRing } from "#trainer/feedback/key-ring.ts";
import { FeedbackLog } from "#trainer/feedback/log.ts";
import { openPseudonyms } from "#trainer/feedback/pseudonym.ts";
import type { Source } from "#trainer/feedback/records.ts";
import { AnswerDesk } from "../answer/answer-desk.ts";
import { EditSchedulers } from "../answer/edit-scheduler.ts";
import { cacheEngineFigures, type EngineFigures } from "../answer/engine-figures.ts";
import type { AnsweringParts } from "../answer/question.ts";
import { RequestLimits } from "../answer/request-limits.ts";
import { SharedLimits } from "../answer/shared-limits.ts";
import { type Learning, statusReply } from "../commands/replies.ts";
import { SeenIds } from "../conversation/addressed.ts";
import { ConversationMemory } from "../conversation/memory.ts";
import { FeedbackCapture } from "../feedback/capture.ts";
import { Notices } from "../feedback/notices.ts";
import type { Language } from "../language/language.ts";
import type { Languages } from "../language/languages.ts";
import { type Screens, screenedEngine } from "../moderation/screened-engine.ts";
import { openPrivacyPage } from "../privacy/open-privacy-page.ts";
import { PersonalData, type PersonalDataParts } from "../privacy/personal-data.ts";
import { keepRetention } from "../privacy/retention.ts";
import type { EntryStore } from "../storage/entry-store.ts";
import { CONVERSATIONS, openKeyv } from "../storage/open-keyv.ts";
import { type BotStores, openBotStores } from "../storage/open-stores.ts";
import {
  type ConnectionLife,
  type DiscordAccess,
  inviteUrl,
  join as joinDiscord,
  leave,
  lossOf,
  prepareClient,
} from "./client.ts";
import { Absence, hearHeartbeats } from "./gateway/absence.ts";
import { ConnectionPace } from "./gateway/connection-pace.ts";
import { GatewayLedger } from "./gateway/gateway-ledger.ts";
import { IdentifyBudget } from "./gateway/identify-budget.ts";
import { InvalidRequestCircuit } from "./gateway/invalid-requests.ts";
import { isFirst, ONLY_SHARD, type Shard } from "./gateway/shard.ts";
import { Stamps } from "./gateway/stamps.ts";
import { openLanguages, openSpeech } from "./language-of.ts";
import { listen } from "./listeners.ts";
import { managedParts } from "./managed-parts.ts";
import { openModeration } from "./moderation/open-moderation.ts";
import { openFigures } from "./open-figures.ts";
import { registerCommands } from "./register-commands.ts";
import type { Room } from "./room.ts";

/** A bot that has joined Discord. */
export type RunningBot = {
  readonly inviteUrl: string;
  readonly name: string;
  /** Where the privacy page is served; undefined when it could not be. */
  readonly privacyUrl: string | undefined;
  /** Where its figures are served; undefined where they are not. */
  readonly metricsUrl: string | undefined;
  /** Resolves with the reason when Discord closes the connection for good. */
  readonly lost: Promise<CodedError>;
  /** Lets answers finish for so long, ends the rest with what there is, then leaves. */
  stop(drainMs: number): Promise<void>;
};

const STATUS_TIMEOUT_MS = 2_500;
const SEED_LIMIT = 2 ** 31;
const MISSED_INTERVAL_MS = 5_000;

/**
 * Joins Discord and begins to answer.
 * @param pace for tests: the clock, and the time between two edits in a channel
 * @throws CodedError `discord_token_missing`, `discord_token_invalid`, `discord_unreachable`,
 *   `database_failed`, `disk_full`, `config_invalid`, `store_unreachable`
 */
export async function startBot(
  config: Config,
  log: Logger,
  pace: { readonly clock?: Clock; readonly editIntervalMs?: number; readonly shard?: Shard } = {},
): Promise<RunningBot> {
  const { clock = systemClock, editIntervalMs, shard = ONLY_SHARD } = pace;
  const access = accessOf(config, shard);
  const languages = openLanguages(config, log);
  await using opened = new AsyncDisposableStack();
  const { feedback, keys, consent, ledger } = opened.use(openBooks(config, clock, log));
  const { settings: store, redis, ...stores } = opened.use(await openBotStores(config, log));
  const schedulers = openSchedulers(clock, editIntervalMs);
  const life = openLife(ledger, clock, log);
  const prepared = await prepareClient(access, { schedulers, life, log });
  using left = new DisposableStack();
  left.defer(() => void prepared.destroy());
  const opening = Promise.withResolvers<Room>();
  const absence = new Absence(feedback.hearing, shard, clock, log);
  const heard = { stamps: new Stamps(clock), absence };
  listen(prepared, opening.promise, heard, log);
  const client = await joinDiscord(prepared, access);
  opened.use(hearHeartbeats(client, absence));
  const lost = lossOf(client);
  const memory = openMemory(stores, keys, log);
  if (isFirst(shard)) await memory.sealOld();
  if (isFirst(shard)) opened.use(keepRetention(feedback, config.RETENTION_DAYS, { clock, log }));
  const pseudonymise = openPseudonyms(config.DATA_DIR);
  const capture = new FeedbackCapture({ feedback, pseudonymise, log });
  const speech = openSpeech(languages, openKeyv(store, "guild-settings", log), client);
  opened.use(forgetMissed(memory, (exchangeId) => capture.deleted(exchangeId), log));
  const { screens, checks, ...moderated } = opened.use(
    openModeration({ dataDir: config.DATA_DIR, ...speech, ...{ store, client, keys, clock, log } }),
  );
  const shown = { config, memory, feedback, capture, schedulers };
  const desks = { ...shown, screens, checks, redis, clock, log };
  const { desk, limits, engine, figures } = openDesk(desks);
  const learning = learningOf(config);
  const managed = managedParts({
    ...{ config, store, feedback, engine, figures, client, languages, shard, clock, log },
    ...{ modLog: moderated.modLog, languageOf: speech.languageOf },
  });
  opened.use(managed.comparisons);
  if (isFirst(shard)) await moderated.moderation.moveLogChannels(speech.settings);
  opening.resolve({
    client,
    ...{ desk, memory, capture, ...heard, pseudonymise, consent },
    personalData: openPersonalData(config, { feedback, memory, consent, pseudonymise, desk }),
    retentionDays: config.RETENTION_DAYS,
    learning,
    ...managed,
    ...speech,
    ...{ ...moderated, screens, clock },
    voidVotes: feedback.voidVotes.bind(feedback),
    closedLogs: new Set(),
    seesImages: async () => (await figures()).seesImages,
    status: (language) => readStatus(language, { engine, feedback, limits, desk, learning }),
    seen: new SeenIds(),
    notices: new Notices(clock),
    log,
  });
  const page = isFirst(shard)
    ? await openForAll({ config, client, store, languages, log })
    : undefined;
  const served = { config, client, shard, desk, limits, life, redis, log };
  const metrics = await openFigures(served);
  left.move();
  const resources = opened.move();
  const stop = once(async (drainMs: number) => {
    await desk.drain(drainMs);
    life.pace.stop();
    await leave(client);
    await limits.disconnect();
    await Promise.all([page?.close(), metrics?.close()]);
    await resources.disposeAsync();
  });
  const named = { inviteUrl: inviteUrl(client.application.id), name: client.user.tag };
  return { ...named, privacyUrl: page?.url, metricsUrl: metrics?.url, lost, stop };
}

/** What the first process does for all of them. @returns the privacy page, where it could be served */
async function openForAll(parts: {
  readonly config: Config;
  readonly client: Client<true>;
  readonly store: EntryStore;
  readonly languages: Languages;
  readonly log: Logger;
}): ReturnType<typeof openPrivacyPage> {
  const { config, client, store, languages, log } = parts;
  if (await registerCommands(client, openKeyv(store, "settings", log), languages)) {
    log.info("commands were registered");
  }
  return openPrivacyPage(config, client.user.displayName, languages, log);
}

function openPersonalData(
  config: Config,
  parts: Omit<PersonalDataParts, "dataDir" | "source" | "settings">,
): PersonalData {
  const { source } = learningOf(config);
  return new PersonalData({ dataDir: config.DATA_DIR, source, settings: config, ...parts });
}

/** What is done the first time alone; later calls wait for that. */
function once(work: (drainMs: number) => Promise<void>): (drainMs: number) => Promise<void> {
  let done: Promise<void> | undefined;
  return (drainMs) => {
    done ??= work(drainMs);
    return done;
  };
}

/** What is in DATA_DIR whatever the settings: several processes of one machine may share it. */
function openBooks(config: Config, clock: Clock, log: Logger) {
  using opened = new DisposableStack();
  const books = {
    feedback: opened.use(FeedbackLog.openIn(config, clock)),
    keys: opened.use(KeyRing.open(config)),
    consent: opened.use(ConsentBook.open(config.DATA_DIR, clock)),
    ledger: opened.use(GatewayLedger.open(config.DATA_DIR, log)),
  };
  const kept = opened.move();
  return { ...books, [Symbol.dispose]: () => kept.dispose() };
}

function openMemory(
  { conversations, local }: Pick<BotStores, "conversations" | "local">,
  keys: KeyRing,
  log: Logger,
): ConversationMemory {
  const missed = local === undefined ? undefined : openKeyv(local, "missed-deletions", log);
  return new ConversationMemory(openKeyv(conversations, CONVERSATIONS, log), keys, missed);
}

/** Now and then, until it is disposed of, does the deletions that a store did not take. */
function forgetMissed(
  memory: ConversationMemory,
  onTainted: (exchangeId: string) => void,
  log: Logger,
): Disposable {
  const look = async (): Promise<void> => {
    for (const exchangeId of await memory.forgetMissed()) onTainted(exchangeId);
  };
  const begin = (): void => {
    look().catch((error: unknown) => log.error({ err: error }, "deletions are still missed"));
  };
  begin();
  const timer = setInterval(begin, MISSED_INTERVAL_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function openSchedulers(clock: Clock, intervalMs: number | undefined): EditSchedulers {
  return new EditSchedulers({ clock, ...(intervalMs === undefined ? {} : { intervalMs }) });
}

function openLife(ledger: GatewayLedger, clock: Clock, log: Logger): ConnectionLife {
  return {
    identify: new IdentifyBudget(ledger, clock, log),
    pace: new ConnectionPace(log),
    circuit: new InvalidRequestCircuit(ledger, clock, log),
  };
}

/** Playground or real Discord: what comes from the latter is learnt from only with permission. */
function sourceOf(apiUrl: string): Source {
  return /(^|\.)discord(app)?\.com$/.test(new URL(apiUrl).hostname) ? "discord" : "playground";
}

function learningOf(config: Config): Learning {
  return {
    source: sourceOf(config.DISCORD_API_URL),
    trainAt: config.TRAIN_AT,
    isLearningFromDiscord: config.LEARN_FROM_DISCORD,
    isConsentAssumed: config.PLAYGROUND_CONSENT === "given",
    ...(config.PRIVACY_URL === undefined ? {} : { privacyUrl: config.PRIVACY_URL }),
  };
}

function accessOf(config: Config, shard: Shard): DiscordAccess {
  const apiUrl = config.DISCORD_API_URL;
  const usual = sourceOf(apiUrl) === "discord" ? "none" : "allowed";
  return {
    apiUrl,
    token: requireToken(config),
    shard,
    privilegedIntents: config.PRIVILEGED_INTENTS ?? usual,
  };
}

function requireToken(config: Config): string {
  if (config.DISCORD_TOKEN !== undefined) return config.DISCORD_TOKEN;
  throw new CodedError(
    "DISCORD_TOKEN is not set. Put your bot's token into .env (see .env.example), or run npm start without one: it serves the playground, a local Discord in your browser.",
    { code: "discord_token_missing" },
  );
}

function openDesk(parts: {
  readonly config: Config;
  readonly memory: ConversationMemory;
  readonly feedback: FeedbackLog;
  readonly capture: FeedbackCapture;
  readonly schedulers: EditSchedulers;
  readonly screens: Screens;
  readonly checks: Pick<AnsweringParts, "onBlocked" | "decided">;
  readonly redis: Redis | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}): {
  readonly desk: AnswerDesk;
  readonly limits: RequestLimits;
  readonly engine: EngineClient;
  readonly figures: () => Promise<EngineFigures>;
} {
  const { config, memory, feedback, capture, schedulers, screens, checks, redis, clock, log } =
    parts;
  const engine = new EngineClient({
    url: config.ENGINE_URL ?? `http://${config.ENGINE_HOST}:${config.ENGINE_PORT}`,
    ...(config.ENGINE_API_KEY === undefined ? {} : { apiKey: config.ENGINE_API_KEY }),
  });
  const limits = new RequestLimits(
    {
      personRequestsPerMinute: config.PERSON_REQUESTS_PER_MINUTE,
      guildConcurrentRequests: config.GUILD_CONCURRENT_REQUESTS,
    },
    clock,
    redis === undefined ? undefined : new SharedLimits(redis, log),
  );
  const figures = cacheEngineFigures(engine, clock);
  const answering = {
    engine: {
      ...screenedEngine(engine, screens),
      countTokens: engine.countTokens.bind(engine),
    },
    ...checks,
    figures,
    limits,
    memory,
    feedback: {
      recordExchange: feedback.recordExchange.bind(feedback),
      recordMessage: capture.shown.bind(capture),
    },
    prompt: () => loadPrompt("system/default"),
    source: sourceOf(config.DISCORD_API_URL),
    clock,
    newId: () => randomUUID(),
    newSeed: () => randomInt(SEED_LIMIT),
    log,
  };
  return { desk: new AnswerDesk(answering, schedulers), limits, engine, figures };
}

async function readStatus(
  language: Language,
  parts: {
    readonly engine: EngineClient;
    readonly feedback: FeedbackLog;
    readonly limits: RequestLimits;
    readonly desk: AnswerDesk;
    readonly learning: Learning;
  },
): Promise<string> {
  const { engine, feedback, limits, desk, learning } = parts;
  const health = await engine.health(AbortSignal.timeout(STATUS_TIMEOUT_MS)).catch(() => undefined);
  return statusReply(language, {
    health,
    counts: readCounts(feedback),
    waiting: limits.waiting,
    inFlight: desk.inFlight,
    learning,
  });
}

function readCounts(feedback: FeedbackLog) {
  try {
    return feedback.counts();
  } catch {
    return undefined;
  }
}
