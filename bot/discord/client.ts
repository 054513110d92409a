/**
 * The connection to Discord: what the bot asks to hear, how it connects, and what its failures mean.
 * Knows nothing of answers.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  type APIApplication,
  ApplicationFlagsBitField,
  Client,
  DefaultRestOptions,
  DiscordAPIError,
  Events,
  GatewayCloseCodes,
  GatewayIntentBits,
  HTTPError,
  Options,
  Partials,
  REST,
  RESTEvents,
  Routes,
} from "discord.js";
import { CodedError } from "#engine/base/errors.ts";
import type { Logger } from "#engine/base/log.ts";
import type { EditSchedulers } from "../answer/edit-scheduler.ts";
import type { ConnectionPace } from "./gateway/connection-pace.ts";
import type { IdentifyBudget } from "./gateway/identify-budget.ts";
import type { InvalidRequestCircuit } from "./gateway/invalid-requests.ts";
import type { Shard } from "./gateway/shard.ts";

/**
 * View channels, send messages (also in threads), read history, add reactions, embed links, attach files, create public threads;
 * and view the audit log, without which Discord tells nobody of removals and time-outs.
 */
const CHAT_PERMISSIONS = "309237763264";
const INTENTS = [
  GatewayIntentBits.Guilds,
  GatewayIntentBits.GuildMessages,
  GatewayIntentBits.GuildMessageReactions,
  GatewayIntentBits.DirectMessages,
  GatewayIntentBits.DirectMessageReactions,
  // Bans and the audit log, AutoMod's rules and what they did: none of these is privileged.
  GatewayIntentBits.GuildModeration,
  GatewayIntentBits.AutoModerationConfiguration,
  GatewayIntentBits.AutoModerationExecution,
];
const MEMBER_FLAGS =
  ApplicationFlagsBitField.Flags.GatewayGuildMembers |
  ApplicationFlagsBitField.Flags.GatewayGuildMembersLimited;
const CONTENT_FLAGS =
  ApplicationFlagsBitField.Flags.GatewayMessageContent |
  ApplicationFlagsBitField.Flags.GatewayMessageContentLimited;
/** Discord bans an address after 10,000 invalid requests in ten minutes; every hundredth is told. */
const INVALID_REQUESTS_BETWEEN_WARNINGS = 100;
const REQUEST_TIMEOUT_MS = 15_000;
/** Closing a connection takes a round trip. */
const LEAVE_MS = 2_000;
const REACTION_ROUTE = "/reactions/:reaction";
/** Messages kept of each channel: enough to find what a reply is to. */
const CACHED_MESSAGES = 100;

/** Where Discord is, and as whom to connect. */
export type DiscordAccess = {
  readonly apiUrl: string;
  readonly token: string;
  /** Which privileged intents to ask for; `allowed` asks for the content where the application may. */
  readonly privilegedIntents: "none" | "content" | "members" | "content,members" | "allowed";
  /** Which servers this process has. */
  readonly shard: Shard;
};

/** What keeps the connection alive without getting the bot banned. */
export type ConnectionLife = {
  readonly identify: IdentifyBudget;
  readonly pace: ConnectionPace;
  readonly circuit: InvalidRequestCircuit;
};

/** What a client is made with. */
type ClientParts = {
  readonly schedulers: EditSchedulers;
  readonly life: ConnectionLife;
  readonly log: Logger;
};

/**
 * A client that is not connected yet. Message content is asked for where the application may have
 * it, since asking without being allowed closes the connection (4014).
 * @throws CodedError `discord_token_invalid`, `discord_unreachable`
 */
export async function prepareClient(
  access: DiscordAccess,
  { schedulers, life, log }: ClientParts,
): Promise<Client> {
  const application = await explained(access, () => readApplication(access));
  const intents = chooseIntents(application.flags ?? 0, access.privilegedIntents);
  if (!intents.includes(GatewayIntentBits.MessageContent)) {
    log.warn(
      "Without the Message Content intent the bot reads only messages that mention it or reply to it.",
    );
  }
  const client = createClient(access, intents, life);
  obeyLimits(client, schedulers, log);
  client.on(Events.ShardReconnecting, () => life.pace.lost());
  for (const event of [Events.ShardReady, Events.ShardResume] as const) {
    client.on(event, () => life.pace.succeeded());
  }
  client.on(Events.Error, (error) => log.error({ err: error }, "the connection failed"));
  return client;
}

/**
 * Connects, and resolves when the client is ready.
 * @throws CodedError `discord_token_invalid`, `discord_unreachable`
 */
export function join(client: Client, access: DiscordAccess): Promise<Client<true>> {
  const ready = new Promise<Client<true>>((resolve) => client.once(Events.ClientReady, resolve));
  return explained(access, async () => {
    await client.login(access.token);
    return await ready;
  });
}

/**
 * Ends the connection. A shard that waits for READY never says that it has ended: discord.js closes it
 * twice, and the second time takes away what the first waits for.
 */
export async function leave(client: Client): Promise<void> {
  const ended = new AbortController();
  const late = sleep(LEAVE_MS, undefined, { signal: ended.signal });
  // A timer left behind would keep the process for its time.
  await Promise.race([client.destroy(), late]).finally(() => ended.abort());
}

/** Resolves when Discord closes the connection for good; all else is reconnected by itself. */
export function lossOf(client: Client): Promise<CodedError> {
  return new Promise((resolve) => {
    client.once(Events.ShardDisconnect, ({ code }) => {
      const isToken = code === GatewayCloseCodes.AuthenticationFailed;
      const reason = GatewayCloseCodes[code] ?? "unknown";
      const isTooBig =
        code === GatewayCloseCodes.ShardingRequired || code === GatewayCloseCodes.InvalidShard;
      const remedy = isTooBig
        ? "The bot is in more servers than one connection may serve: set SHARDS=auto in .env."
        : "Check the bot's page in the Developer Portal, then start it again.";
      resolve(
        new CodedError(
          `Discord closed the connection for good (${code}, ${reason}). ${isToken ? "DISCORD_TOKEN is no longer valid: copy the new one into .env." : remedy}`,
          { code: isToken ? "discord_token_invalid" : "discord_unreachable" },
        ),
      );
    });
  });
}

/** Where a server's admin goes to add the bot. */
export function inviteUrl(applicationId: string): string {
  const query = new URLSearchParams({
    client_id: applicationId,
    scope: "bot applications.commands",
    permissions: CHAT_PERMISSIONS,
  });
  return `https://discord.com/oauth2/authorize?${query}`;
}

/** Asking for an intent without being allowed to closes the connection (4014). */
function chooseIntents(
  flags: number,
  asked: DiscordAccess["privilegedIntents"],
): readonly GatewayIntentBits[] {
  const wantsContent = asked === "allowed" || asked.includes("content");
  return [
    ...INTENTS,
    ...(wantsContent && (flags & CONTENT_FLAGS) !== 0 ? [GatewayIntentBits.MessageContent] : []),
    ...(asked.includes("members") && (flags & MEMBER_FLAGS) !== 0
      ? [GatewayIntentBits.GuildMembers]
      : []),
  ];
}

function createClient(
  { apiUrl, shard }: DiscordAccess,
  intents: readonly GatewayIntentBits[],
  { identify, pace, circuit }: ConnectionLife,
): Client {
  return new Client({
    intents,
    // Given here, or discord.js would take SHARDS from the environment, where people write `auto`.
    ...{ shards: [shard.index], shardCount: shard.count },
    ws: {
      buildIdentifyThrottler: async (manager) => {
        const { session_start_limit: limit } = await manager.fetchGatewayInformation();
        identify.maxConcurrency = limit.max_concurrency;
        // discord.js asks for it before each attempt to connect (and with each event).
        const { retrieveSessionInfo } = manager.options;
        manager.options.retrieveSessionInfo = async (shardId) => {
          await pace.beforeAttempt();
          return retrieveSessionInfo(shardId);
        };
        return identify;
      },
    },
    // Reactions and deletions on messages from before the start come without the message.
    partials: [Partials.Channel, Partials.Message, Partials.Reaction, Partials.User],
    allowedMentions: { parse: [], repliedUser: false },
    failIfNotExists: false,
    makeCache: Options.cacheWithLimits({
      ...Options.DefaultMakeCacheSettings,
      MessageManager: CACHED_MESSAGES,
      ReactionUserManager: 0,
    }),
    rest: {
      api: apiUrl,
      makeRequest: circuit.guard(DefaultRestOptions.makeRequest),
      timeout: REQUEST_TIMEOUT_MS,
      invalidRequestWarningInterval: INVALID_REQUESTS_BETWEEN_WARNINGS,
    },
  });
}

/** discord.js waits out each limit itself; the schedulers then make no work that would be outdated. */
function obeyLimits(client: Client, schedulers: EditSchedulers, log: Logger): void {
  client.rest.on(RESTEvents.RateLimited, ({ global, majorParameter, timeToReset, route }) => {
    log.info({ route, timeToResetMs: timeToReset }, "Discord limits a route");
    // Reactions have a limit of their own, which says nothing about messages.
    if (!route.endsWith(REACTION_ROUTE)) {
      schedulers.holdForMs(global ? undefined : majorParameter, timeToReset);
    }
  });
  client.rest.on(RESTEvents.InvalidRequestWarning, ({ count }) =>
    log.warn({ count }, "Discord refuses many requests (401, 403 or 429)"),
  );
}

async function readApplication({
  apiUrl,
  token,
}: Pick<DiscordAccess, "apiUrl" | "token">): Promise<Partial<APIApplication>> {
  const rest = new REST({ api: apiUrl, timeout: REQUEST_TIMEOUT_MS }).setToken(token);
  const answer = await rest.get(Routes.currentApplication());
  return typeof answer === "object" && answer !== null ? answer : {};
}

/** Does it, and says what a failure means for whoever hosts the bot. @throws CodedError */
export async function explained<T>(
  access: Pick<DiscordAccess, "apiUrl">,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explainConnection(error, access.apiUrl);
  }
}

function explainConnection(error: unknown, apiUrl: string): unknown {
  const status =
    error instanceof DiscordAPIError || error instanceof HTTPError ? error.status : undefined;
  const isToken = error instanceof Error && "code" in error && error.code === "TokenInvalid";
  if (status === 401 || isToken) {
    return new CodedError(
      "Discord does not accept DISCORD_TOKEN. Copy the token again from the Developer Portal (your application → Bot → Reset Token) into .env; or remove it, and npm start serves the playground instead.",
      { code: "discord_token_invalid", cause: error },
    );
  }
  return new CodedError(
    `Discord could not be joined at ${apiUrl}: ${error instanceof Error ? error.message : String(error)}. Check the network and DISCORD_API_URL.`,
    { code: "discord_unreachable", cause: error },
  );
}
