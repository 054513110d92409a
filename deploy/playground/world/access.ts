/** Who may do what where: Discord's permission bits, roles and overwrites. Pure. */
import { PermissionFlagsBits as Bits } from "discord-api-types/v10";
import type { ChannelRecord, UserRecord } from "./records.ts";
import { BOT_ROLE_ID, GUILD_ID, OWNER_ID, ROLES } from "./seed.ts";

/** Every permission there is (an owner's). */
const ALL_PERMISSIONS = Object.values(Bits).reduce((sum, bit) => sum | bit, 0n);

/** What @everyone may do. */
export const EVERYONE_PERMISSIONS =
  Bits.ViewChannel |
  Bits.SendMessages |
  Bits.ReadMessageHistory |
  Bits.AddReactions |
  Bits.EmbedLinks |
  Bits.AttachFiles |
  Bits.UseApplicationCommands |
  Bits.CreatePublicThreads |
  Bits.SendMessagesInThreads;

/** What a person may do in a direct message: the same, without threads. */
const DIRECT_PERMISSIONS =
  EVERYONE_PERMISSIONS & ~(Bits.CreatePublicThreads | Bits.SendMessagesInThreads);

/** Guild-wide permissions. @param botPermissions of the bot's own role */
function guildPermissions(user: UserRecord, botPermissions: bigint): bigint {
  if (user.id === OWNER_ID) return ALL_PERMISSIONS;
  if (user.bot) return EVERYONE_PERMISSIONS | botPermissions;
  const own = ROLES.filter(({ id }) => user.roleIds.includes(id));
  return own.reduce((sum, { permissions }) => sum | permissions, EVERYONE_PERMISSIONS);
}

/**
 * Permissions in a channel: https://discord.com/developers/docs/topics/permissions#permission-overwrites
 * @param channel the channel, or a thread's parent
 */
export function channelPermissions(
  user: UserRecord,
  channel: ChannelRecord,
  botPermissions: bigint,
): bigint {
  if (channel.guildId === null)
    return channel.recipientId === user.id || user.bot ? DIRECT_PERMISSIONS : 0n;
  if (user.id === OWNER_ID) return ALL_PERMISSIONS;
  const roleIds = user.bot ? [BOT_ROLE_ID] : user.roleIds;
  let permissions = guildPermissions(user, botPermissions);
  // Those of all roles count at once: what one role allows, another can't deny.
  for (const subjects of [[GUILD_ID], roleIds, [user.id]]) {
    const meant = channel.overwrites.filter((each) => subjects.includes(each.id));
    const deny = meant.reduce((sum, each) => sum | BigInt(each.deny), 0n);
    const allow = meant.reduce((sum, each) => sum | BigInt(each.allow), 0n);
    permissions = (permissions & ~deny) | allow;
  }
  return (permissions & Bits.ViewChannel) === 0n ? 0n : permissions;
}
