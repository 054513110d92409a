/** From what happens in the local Discord to the events that each bot session asked for. */
import { GatewayIntentBits as Intent, GatewayOpcodes as Op } from "discord-api-types/v10";
import { z } from "zod";
import type { WorldEvent } from "../world/events.ts";
import {
  presentChannel,
  presentGuild,
  presentMember,
  presentMessageEvent,
  presentSelf,
  presentThread,
} from "../world/present.ts";
import type { MessageRecord } from "../world/records.ts";
import { BOT_ID, GUILD_ID } from "../world/seed.ts";
import type { World } from "../world/world.ts";
import { withholdContent } from "./content-intent.ts";
import type { GatewaySession } from "./session.ts";

type Dispatch = {
  readonly name: string;
  readonly data: unknown;
  /** null: sent to every session */
  readonly intent: Intent | null;
  readonly guildId: string | null;
};

const membersRequest = z.object({
  query: z.string().optional(),
  limit: z.int().min(0).max(100).default(0),
  user_ids: z.union([z.string(), z.array(z.string()).max(100)]).optional(),
  nonce: z.string().max(32).optional(),
});

/** Presents events to sessions: which, in what form, and whether with the content of messages. */
export class Delivery {
  readonly #world: World;
  readonly #baseUrl: () => string;
  readonly #interactionPayload: (
    interaction: Extract<WorldEvent, { type: "interactionSent" }>["interaction"],
  ) => object;

  /** @param options.interactionPayload the INTERACTION_CREATE body */
  constructor(options: {
    world: World;
    baseUrl: () => string;
    interactionPayload: (
      interaction: Extract<WorldEvent, { type: "interactionSent" }>["interaction"],
    ) => object;
  }) {
    this.#world = options.world;
    this.#baseUrl = options.baseUrl;
    this.#interactionPayload = options.interactionPayload;
  }

  /** READY, then GUILD_CREATE for the guild. */
  greet(session: GatewaySession, resumeUrl: string): void {
    const world = this.#world;
    const ofGuild = isOnShard(session, GUILD_ID);
    session.dispatch("READY", {
      v: 10,
      user: presentSelf(world.user(BOT_ID)),
      guilds: ofGuild ? [{ id: GUILD_ID, unavailable: true }] : [],
      session_id: session.id,
      resume_gateway_url: resumeUrl,
      session_type: "normal",
      shard: session.shard,
      application: { id: BOT_ID, flags: 0 },
      private_channels: [],
      relationships: [],
      user_settings: {},
      guild_join_requests: [],
      geo_ordered_rtc_regions: [],
      presences: [],
      _trace: [],
    });
    if (ofGuild && session.wants(Intent.Guilds))
      session.dispatch("GUILD_CREATE", this.#guildCreate());
  }

  /** Answers a member request; presence and voice requests need no answer here. */
  request(session: GatewaySession, opcode: number, data: unknown): void {
    if (opcode !== Op.RequestGuildMembers) return;
    const parsed = membersRequest.safeParse(data);
    if (!parsed.success) return;
    const { query, limit, user_ids: ids, nonce } = parsed.data;
    const wanted = ids === undefined ? undefined : [ids].flat();
    const users = this.#world.store.users();
    const members =
      wanted === undefined
        ? users
            .filter((user) => user.username.startsWith((query ?? "").toLowerCase()))
            .slice(0, limit || undefined)
        : users.filter((user) => wanted.includes(user.id));
    session.dispatch("GUILD_MEMBERS_CHUNK", {
      guild_id: GUILD_ID,
      members: members.map(presentMember),
      chunk_index: 0,
      chunk_count: 1,
      not_found: (wanted ?? []).filter((id) => !users.some((user) => user.id === id)),
      ...(nonce === undefined ? {} : { nonce }),
    });
  }

  /** Sends what `event` means to each session that asked for it. */
  deliver(event: WorldEvent, sessions: readonly GatewaySession[]): void {
    for (const dispatch of this.#dispatches(event)) {
      for (const session of sessions) {
        if (dispatch.intent !== null && !session.wants(dispatch.intent)) continue;
        if (!isOnShard(session, dispatch.guildId)) continue;
        session.dispatch(dispatch.name, this.#fitted(dispatch, session));
      }
    }
  }

  #fitted(dispatch: Dispatch, session: GatewaySession): unknown {
    if (!(dispatch.data instanceof MessageEvent)) return dispatch.data;
    return withholdContent(
      presentMessageEvent(this.#world, dispatch.data.message, this.#baseUrl()),
      {
        botId: BOT_ID,
        intents: session.intents,
        isDirect: dispatch.guildId === null,
      },
    );
  }

  #dispatches(event: WorldEvent): Dispatch[] {
    switch (event.type) {
      case "messageCreated":
        return this.#ofMessage("MESSAGE_CREATE", event.message);
      case "messageUpdated":
        return this.#ofMessage("MESSAGE_UPDATE", event.message);
      case "messageDeleted":
        return this.#messageDeleted(event.message);
      case "reactionAdded":
      case "reactionRemoved":
      case "reactionsCleared":
        return this.#reaction(event);
      case "channelCreated":
      case "channelUpdated":
      case "channelDeleted":
        return this.#channel(event);
      case "threadMembersChanged":
        return this.#threadMembers(event);
      case "memberAdded":
      case "memberChanged":
        return [
          {
            name: event.type === "memberAdded" ? "GUILD_MEMBER_ADD" : "GUILD_MEMBER_UPDATE",
            data: { ...presentMember(event.user), guild_id: GUILD_ID },
            intent: Intent.GuildMembers,
            guildId: GUILD_ID,
          },
        ];
      case "typing":
        return this.#typing(event);
      case "interactionSent":
        return [
          {
            name: "INTERACTION_CREATE",
            data: this.#interactionPayload(event.interaction),
            intent: null,
            guildId: this.#guildOf(event.interaction.channelId),
          },
        ];
      case "moderated":
        return [{ name: event.name, data: event.data, intent: event.intent, guildId: GUILD_ID }];
      case "commandsChanged":
      case "interactionSettled":
      case "modalOpened":
      case "botPresence":
        return [];
    }
  }

  #ofMessage(name: string, message: MessageRecord): Dispatch[] {
    if (message.visibleTo !== null) return [];
    const guildId = this.#guildOf(message.channelId);
    const intent = guildId === null ? Intent.DirectMessages : Intent.GuildMessages;
    return [{ name, data: new MessageEvent(message), intent, guildId }];
  }

  #messageDeleted(message: MessageRecord): Dispatch[] {
    if (message.visibleTo !== null) return [];
    const guildId = this.#guildOf(message.channelId);
    return [
      {
        name: "MESSAGE_DELETE",
        data: { id: message.id, channel_id: message.channelId, ...inGuild(guildId) },
        intent: guildId === null ? Intent.DirectMessages : Intent.GuildMessages,
        guildId,
      },
    ];
  }

  #reaction(
    event: Extract<WorldEvent, { type: "reactionAdded" | "reactionRemoved" | "reactionsCleared" }>,
  ): Dispatch[] {
    const { message } = event;
    const guildId = this.#guildOf(message.channelId);
    const intent = guildId === null ? Intent.DirectMessageReactions : Intent.GuildMessageReactions;
    const place = { channel_id: message.channelId, message_id: message.id, ...inGuild(guildId) };
    const emoji = { id: null, name: event.emoji };
    if (event.type === "reactionsCleared") {
      return event.emoji === null
        ? [{ name: "MESSAGE_REACTION_REMOVE_ALL", data: place, intent, guildId }]
        : [{ name: "MESSAGE_REACTION_REMOVE_EMOJI", data: { ...place, emoji }, intent, guildId }];
    }
    const data = { ...place, user_id: event.userId, emoji, burst: false, type: 0 };
    if (event.type === "reactionRemoved")
      return [{ name: "MESSAGE_REACTION_REMOVE", data, intent, guildId }];
    const added = {
      ...data,
      message_author_id: message.authorId,
      ...(guildId === null ? {} : { member: presentMember(this.#world.user(event.userId)) }),
    };
    return [{ name: "MESSAGE_REACTION_ADD", data: added, intent, guildId }];
  }

  #channel(
    event: Extract<WorldEvent, { type: "channelCreated" | "channelUpdated" | "channelDeleted" }>,
  ): Dispatch[] {
    const { channel } = event;
    // Since API v8 bots are told of a direct message's channel by its first message only.
    if (channel.guildId === null) return [];
    const verb = { channelCreated: "CREATE", channelUpdated: "UPDATE", channelDeleted: "DELETE" }[
      event.type
    ];
    const shared = { intent: Intent.Guilds, guildId: channel.guildId };
    if (channel.thread === null) {
      return [{ ...shared, name: `CHANNEL_${verb}`, data: presentChannel(this.#world, channel) }];
    }
    if (event.type === "channelDeleted") {
      const { id, guildId: guild_id, parentId: parent_id, type } = channel;
      return [{ ...shared, name: "THREAD_DELETE", data: { id, guild_id, parent_id, type } }];
    }
    const created = event.type === "channelCreated" ? { newly_created: true } : {};
    return [{ ...shared, name: `THREAD_${verb}`, data: { ...presentThread(channel), ...created } }];
  }

  #threadMembers(event: Extract<WorldEvent, { type: "threadMembersChanged" }>): Dispatch[] {
    const { channel, added, removed } = event;
    const join_timestamp = new Date(this.#world.clock.nowMs()).toISOString();
    const data = {
      id: channel.id,
      guild_id: channel.guildId,
      member_count: channel.thread?.memberIds.length ?? 0,
      added_members: added.map((user_id) => ({
        id: channel.id,
        user_id,
        join_timestamp,
        flags: 0,
      })),
      removed_member_ids: removed,
    };
    const concernsBot = [...added, ...removed].includes(BOT_ID);
    const intent = concernsBot ? Intent.Guilds : Intent.GuildMembers;
    return [{ name: "THREAD_MEMBERS_UPDATE", data, intent, guildId: channel.guildId }];
  }

  #typing(event: Extract<WorldEvent, { type: "typing" }>): Dispatch[] {
    const guildId = this.#guildOf(event.channelId);
    const data = {
      channel_id: event.channelId,
      user_id: event.userId,
      timestamp: Math.floor(this.#world.clock.nowMs() / 1000),
      ...inGuild(guildId),
      ...(guildId === null ? {} : { member: presentMember(this.#world.user(event.userId)) }),
    };
    const intent = guildId === null ? Intent.DirectMessageTyping : Intent.GuildMessageTyping;
    return [{ name: "TYPING_START", data, intent, guildId }];
  }

  #guildOf(channelId: string): string | null {
    return this.#world.store.channel(channelId)?.guildId ?? null;
  }

  #guildCreate(): object {
    const world = this.#world;
    const bot = world.user(BOT_ID);
    const channels = world.store.channels().filter((channel) => channel.guildId !== null);
    return {
      ...presentGuild(world),
      joined_at: new Date(bot.joinedAtMs).toISOString(),
      large: false,
      unavailable: false,
      member_count: world.store.users().length,
      voice_states: [],
      members: [presentMember(bot)],
      channels: channels
        .filter((each) => each.thread === null)
        .map((each) => presentChannel(world, each)),
      threads: channels.filter((each) => each.thread?.archived === false).map(presentThread),
      presences: [],
      stage_instances: [],
      guild_scheduled_events: [],
      soundboard_sounds: [],
    };
  }
}

/** Marks a dispatch whose form depends on the session's intents. */
class MessageEvent {
  readonly message: MessageRecord;

  constructor(message: MessageRecord) {
    this.message = message;
  }
}

/** https://discord.com/developers/docs/events/gateway#sharding; direct messages go to shard 0. */
function isOnShard(session: GatewaySession, guildId: string | null): boolean {
  const [index, count] = session.shard;
  return guildId === null
    ? index === 0
    : Number((BigInt(guildId) >> 22n) % BigInt(count)) === index;
}

function inGuild(guildId: string | null): { guild_id?: string } {
  return guildId === null ? {} : { guild_id: guildId };
}
