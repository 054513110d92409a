/** The INTERACTION_CREATE event of each kind of interaction. Decides nothing. */
import { InteractionType } from "discord-api-types/v10";
import type { PendingInteraction } from "../world/events.ts";
import {
  presentChannel,
  presentGuild,
  presentMember,
  presentMemberOnly,
  presentMessage,
  presentUser,
} from "../world/present.ts";
import { BOT_ID } from "../world/seed.ts";
import type { World } from "../world/world.ts";

/** https://discord.com/developers/docs/interactions/receiving-and-responding#interaction-object */
export function interactionPayload(
  world: World,
  interaction: PendingInteraction,
  baseUrl: string,
): object {
  const channel = world.channel(interaction.channelId);
  const user = world.user(interaction.userId);
  const permissions = String(world.permissions(user.id, channel));
  const guildId = channel.guildId;
  const place =
    guildId === null
      ? { user: presentUser(user), context: 1, authorizing_integration_owners: { 0: "0" } }
      : {
          guild_id: guildId,
          guild: { id: guildId, locale: world.guildLocale, features: [] },
          guild_locale: world.guildLocale,
          member: { ...presentMember(user), permissions },
          context: 0,
          authorizing_integration_owners: { 0: guildId },
        };
  return {
    id: interaction.id,
    application_id: BOT_ID,
    type: interaction.type,
    token: interaction.token,
    version: 1,
    channel_id: channel.id,
    channel: { ...presentChannel(world, channel), permissions },
    app_permissions: String(world.permissions(BOT_ID, channel)),
    locale: user.locale,
    entitlements: [],
    attachment_size_limit: 10 * 1024 * 1024,
    ...place,
    data: withResolved(world, interaction, baseUrl),
    ...messageOf(world, interaction, baseUrl),
  };
}

function messageOf(world: World, interaction: PendingInteraction, baseUrl: string): object {
  const carries =
    interaction.type === InteractionType.MessageComponent ||
    interaction.type === InteractionType.ModalSubmit;
  const message =
    interaction.messageId === null ? undefined : world.store.message(interaction.messageId);
  if (!carries || message === undefined) return {};
  return { message: presentMessage(world, message, BOT_ID, baseUrl) };
}

/** Adds `resolved`: whole objects for the ids that options, selects and menus name. */
function withResolved(world: World, interaction: PendingInteraction, baseUrl: string): object {
  const { data, resolves, userId } = interaction;
  const users = (resolves.users ?? []).map((id) => world.user(id));
  const channels = (resolves.channels ?? []).map((id) => world.channel(id));
  const messages = (resolves.messages ?? []).flatMap((id) => world.store.message(id) ?? []);
  const roles = presentGuild(world).roles.filter(({ id }) => resolves.roles?.includes(id));
  const attachments = (resolves.attachments ?? []).map((each) => ({
    ...each,
    url: baseUrl + each.url,
    proxy_url: baseUrl + each.proxy_url,
    ephemeral: true,
  }));
  const all = [users, channels, messages, roles, attachments];
  if (all.every((some) => some.length === 0)) return data;
  const place = world.channel(interaction.channelId);
  return {
    ...data,
    resolved: {
      ...table("users", users, presentUser),
      ...table("members", users, (user) => ({
        ...presentMemberOnly(user),
        permissions: String(world.permissions(user.id, place)),
      })),
      ...table("channels", channels, (channel) => ({
        ...presentChannel(world, channel),
        permissions: String(world.permissions(userId, channel)),
      })),
      ...table("roles", roles, (role) => role),
      ...table("attachments", attachments, (attachment) => attachment),
      ...table("messages", messages, (message) => presentMessage(world, message, BOT_ID, baseUrl)),
    },
  };
}

function table<T extends { readonly id: string }>(
  name: string,
  records: readonly T[],
  present: (record: T) => object,
): object {
  if (records.length === 0) return {};
  return { [name]: Object.fromEntries(records.map((record) => [record.id, present(record)])) };
}
