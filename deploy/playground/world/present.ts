/** Records in the shape of Discord's JSON. Decides nothing; changes nothing. */
import {
  type APIChannel,
  type APIGuild,
  type APIGuildMember,
  type APIMessage,
  type APIThreadChannel,
  type APIUser,
  ChannelType,
  type GatewayMessageCreateDispatchData,
  Locale,
  MessageType,
} from "discord-api-types/v10";
import { EVERYONE_PERMISSIONS } from "./access.ts";
import type { ChannelRecord, MessageRecord, UserRecord } from "./records.ts";
import { BOT_ID, BOT_ROLE_ID, GUILD_ID, GUILD_NAME, OWNER_ID, ROLES } from "./seed.ts";
import type { World } from "./world.ts";

/** Typed as a number: a bit field without a bit is no member of its enum. */
const NO_FLAGS: number = 0;

/** A user object. */
export function presentUser(user: UserRecord): APIUser {
  return {
    id: user.id,
    username: user.username,
    discriminator: "0",
    global_name: user.bot ? null : user.displayName,
    avatar: null,
    banner: null,
    accent_color: null,
    avatar_decoration_data: null,
    collectibles: null,
    primary_guild: null,
    flags: NO_FLAGS,
    public_flags: NO_FLAGS,
    ...(user.bot ? { bot: true } : {}),
  };
}

/** The bot's own user object, as only itself sees it. */
export function presentSelf(user: UserRecord): APIUser {
  return {
    ...presentUser(user),
    verified: true,
    mfa_enabled: false,
    email: null,
    locale: Locale.EnglishUS,
  };
}

/** A guild member object without its user. */
export function presentMemberOnly(user: UserRecord): Omit<APIGuildMember, "user"> {
  return {
    nick: user.bot ? user.displayName : null,
    avatar: null,
    banner: null,
    roles: user.bot ? [BOT_ROLE_ID] : user.roleIds,
    joined_at: new Date(user.joinedAtMs).toISOString(),
    premium_since: null,
    deaf: false,
    mute: false,
    flags: NO_FLAGS,
    pending: false,
    communication_disabled_until: null,
  };
}

/** A guild member object. */
export function presentMember(user: UserRecord): APIGuildMember {
  return { ...presentMemberOnly(user), user: presentUser(user) };
}

/** A channel of any kind that exists here. */
export function presentChannel(world: World, channel: ChannelRecord): APIChannel {
  if (channel.thread !== null) return presentThread(channel);
  const shared = { id: channel.id, flags: NO_FLAGS };
  if (channel.guildId === null) {
    const recipients = [presentUser(world.user(channel.recipientId ?? BOT_ID))];
    return {
      ...shared,
      type: ChannelType.DM,
      name: null,
      last_message_id: channel.lastMessageId,
      recipients,
    };
  }
  const inGuild = {
    ...shared,
    guild_id: channel.guildId,
    name: channel.name,
    position: channel.position,
    parent_id: channel.parentId,
    nsfw: channel.nsfw === true,
    permission_overwrites: channel.overwrites,
  };
  if (channel.type === ChannelType.GuildCategory) {
    return { ...inGuild, parent_id: null, type: ChannelType.GuildCategory };
  }
  return {
    ...inGuild,
    type: ChannelType.GuildText,
    topic: channel.topic,
    rate_limit_per_user: 0,
    last_message_id: channel.lastMessageId,
    last_pin_timestamp: null,
  };
}

/** A thread, with the bot's membership when it is in. */
export function presentThread(channel: ChannelRecord): APIThreadChannel {
  const { thread } = channel;
  if (thread === null) throw new Error(`Expected a thread; ${channel.id} is none.`);
  const created = new Date(thread.createdAtMs).toISOString();
  const isPrivate = channel.type === ChannelType.PrivateThread;
  return {
    id: channel.id,
    type: isPrivate ? ChannelType.PrivateThread : ChannelType.PublicThread,
    guild_id: channel.guildId ?? GUILD_ID,
    parent_id: channel.parentId ?? "",
    owner_id: thread.ownerId,
    name: channel.name,
    last_message_id: channel.lastMessageId,
    rate_limit_per_user: 0,
    message_count: thread.messageCount,
    total_message_sent: thread.messageCount,
    member_count: Math.min(thread.memberIds.length, 50),
    flags: NO_FLAGS,
    applied_tags: [],
    thread_metadata: {
      archived: thread.archived,
      auto_archive_duration: thread.autoArchiveMinutes,
      archive_timestamp: new Date(thread.changedAtMs).toISOString(),
      locked: thread.locked,
      create_timestamp: created,
      ...(isPrivate ? { invitable: true } : {}),
    },
    ...(thread.memberIds.includes(BOT_ID)
      ? { member: { id: channel.id, user_id: BOT_ID, join_timestamp: created, flags: NO_FLAGS } }
      : {}),
  };
}

/** The guild's roles, lowest first. */
function presentRoles(world: World): APIGuild["roles"] {
  const role = {
    color: 0,
    colors: { primary_color: 0, secondary_color: null, tertiary_color: null },
    hoist: false,
    icon: null,
    unicode_emoji: null,
    mentionable: false,
    flags: NO_FLAGS,
  };
  return [
    {
      ...role,
      id: GUILD_ID,
      name: "@everyone",
      permissions: String(EVERYONE_PERMISSIONS),
      position: 0,
      managed: false,
    },
    {
      ...role,
      id: BOT_ROLE_ID,
      name: "Zephyr",
      permissions: String(world.botPermissions),
      position: 1,
      managed: true,
      tags: { bot_id: BOT_ID },
    },
    ...ROLES.map(({ id, name, color, permissions }, index) => ({
      ...role,
      id,
      name,
      color,
      colors: { ...role.colors, primary_color: color },
      permissions: String(EVERYONE_PERMISSIONS | permissions),
      position: index + 2,
      managed: false,
    })),
  ];
}

/** The guild, as GET /guilds/{id} gives it. */
export function presentGuild(world: World): APIGuild {
  return {
    id: GUILD_ID,
    name: GUILD_NAME,
    icon: null,
    splash: null,
    discovery_splash: null,
    owner_id: OWNER_ID,
    region: "",
    afk_channel_id: null,
    afk_timeout: 300,
    verification_level: 0,
    default_message_notifications: 1,
    explicit_content_filter: 0,
    roles: presentRoles(world),
    emojis: [],
    stickers: [],
    features: [],
    mfa_level: 0,
    application_id: null,
    system_channel_id: null,
    system_channel_flags: NO_FLAGS,
    rules_channel_id: null,
    max_presences: null,
    max_members: 500_000,
    max_video_channel_users: 25,
    vanity_url_code: null,
    description: "A community on this machine",
    banner: null,
    premium_tier: 0,
    premium_subscription_count: 0,
    preferred_locale: world.guildLocale,
    public_updates_channel_id: null,
    nsfw_level: 0,
    premium_progress_bar_enabled: false,
    safety_alerts_channel_id: null,
    hub_type: null,
    widget_enabled: false,
    widget_channel_id: null,
    max_stage_video_channel_users: 50,
    // Not typed by discord-api-types, and required by the published specification.
    ...{ home_header: null, nsfw: false },
    incidents_data: null,
  };
}

/**
 * A message as `viewerId` sees it.
 * @param baseUrl of this server, for the addresses of attachments
 */
export function presentMessage(
  world: World,
  message: MessageRecord,
  viewerId: string,
  baseUrl: string,
): APIMessage {
  const threadHere = world.store.channel(message.id);
  const reactions = world.store.reactions(message.id).map(({ emoji, userIds }) => ({
    emoji: { id: null, name: emoji },
    count: userIds.length,
    count_details: { burst: 0, normal: userIds.length },
    burst_colors: [],
    me: userIds.includes(viewerId),
    me_burst: false,
  }));
  return {
    id: message.id,
    channel_id: message.channelId,
    type: message.type,
    author: presentUser(world.user(message.authorId)),
    content: message.content,
    timestamp: new Date(message.createdAtMs).toISOString(),
    edited_timestamp:
      message.editedAtMs === null ? null : new Date(message.editedAtMs).toISOString(),
    tts: false,
    mention_everyone: message.mentionEveryone,
    mentions: message.mentionIds.map((id) => presentUser(world.user(id))),
    mention_roles: [],
    attachments: message.attachments.map((each) => ({
      ...each,
      url: baseUrl + each.url,
      proxy_url: baseUrl + each.proxy_url,
    })),
    embeds: message.embeds,
    components: message.components,
    pinned: false,
    flags: message.flags,
    ...(message.nonce === null ? {} : { nonce: message.nonce }),
    ...(reactions.length === 0 ? {} : { reactions }),
    ...(threadHere === undefined ? {} : { thread: presentThread(threadHere) }),
    ...presentReference(world, message, viewerId, baseUrl),
    ...presentOrigin(world, message),
  };
}

/** What the gateway adds to a message: the guild and the author's membership. */
export function presentMessageEvent(
  world: World,
  message: MessageRecord,
  baseUrl: string,
): GatewayMessageCreateDispatchData {
  const guildId = world.channel(message.channelId).guildId;
  const presented = presentMessage(world, message, BOT_ID, baseUrl);
  if (guildId === null)
    return { ...presented, channel_type: ChannelType.DM, mentions: presented.mentions };
  return {
    ...presented,
    guild_id: guildId,
    member: presentMemberOnly(world.user(message.authorId)),
    mentions: message.mentionIds.map((id) => {
      const user = world.user(id);
      return { ...presentUser(user), member: presentMemberOnly(user) };
    }),
  };
}

function presentReference(
  world: World,
  message: MessageRecord,
  viewerId: string,
  baseUrl: string,
): Partial<APIMessage> {
  if (message.reference === null) return {};
  const { messageId, channelId } = message.reference;
  const guildId = world.store.channel(channelId)?.guildId ?? null;
  const message_reference = {
    type: 0,
    channel_id: channelId,
    ...(messageId === null ? {} : { message_id: messageId }),
    ...(guildId === null ? {} : { guild_id: guildId }),
  };
  if (message.type !== MessageType.Reply && message.type !== MessageType.ThreadStarterMessage) {
    return { message_reference };
  }
  const replied = messageId === null ? undefined : world.store.message(messageId);
  if (replied === undefined) return { message_reference, referenced_message: null };
  // One level only, as on Discord: the replied-to message does not carry its own reference.
  const flat = { ...replied, reference: null };
  return { message_reference, referenced_message: presentMessage(world, flat, viewerId, baseUrl) };
}

function presentOrigin(world: World, message: MessageRecord): Partial<APIMessage> {
  const note = message.interaction;
  if (note === null) return {};
  const user = presentUser(world.user(note.userId));
  return {
    application_id: BOT_ID,
    webhook_id: BOT_ID,
    interaction_metadata: {
      id: note.id,
      type: note.type,
      user,
      authorizing_integration_owners: { 0: world.channel(message.channelId).guildId ?? "0" },
      ...(note.originalResponseId === null
        ? {}
        : { original_response_message_id: note.originalResponseId }),
      ...(note.targetMessageId === null ? {} : { target_message_id: note.targetMessageId }),
    } as APIMessage["interaction_metadata"] & object,
    ...(note.commandName === null
      ? {}
      : { interaction: { id: note.id, type: note.type, name: note.commandName, user } }),
  };
}
