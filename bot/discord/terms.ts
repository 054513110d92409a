/** On which terms a question is answered: what the server's managers set, for this place and person. */
import type { Channel, GuildMember } from "discord.js";
import { conversationKey } from "../conversation/memory.ts";
import {
  type GuildSettings,
  isServed,
  personaText,
  personLimit,
} from "../settings/guild-settings.ts";
import type { Place, Room } from "./room.ts";

/** A member as discord.js has one, or as an interaction brings one from a server that is not cached. */
type Member = GuildMember | { readonly roles: readonly string[] } | null;

/** What a person chose for one question. */
type Chosen = { readonly persona?: string | undefined; readonly adapter?: string | undefined };

/** The terms, to be spread into a question; or why it is not answered. */
export type Terms =
  | {
      readonly kind: "served";
      readonly terms: {
        readonly conversation: string;
        readonly isRemembered: boolean;
        readonly instructions?: string;
        readonly adapter?: string;
        readonly perMinute?: number;
      };
    }
  | {
      readonly kind: "refused";
      readonly isSilent: boolean;
      /** Which message says why. */
      readonly notice: "refused.channel" | "refused.role";
    };

/** Reads the settings as they are now. Threads have their parent channel's. */
export async function termsFor(
  room: Room,
  at: {
    readonly place: Place;
    readonly channel: Channel | null;
    readonly member: Member;
    readonly personKey: string;
  },
  chosen: Chosen = {},
): Promise<Terms> {
  const { place, channel, member, personKey } = at;
  const settings = await room.settings.of(place.guildId);
  const parentId = channel?.isThread() === true ? channel.parentId : null;
  const roleIds = rolesOf(member);
  // A private place is its channel's, too.
  const channelId = place.channelId.split(":", 1)[0] ?? place.channelId;
  const served = isServed(settings, { channelId, parentId, roleIds });
  if (served !== "served") {
    return { kind: "refused", isSilent: served === "channel", notice: `refused.${served}` };
  }
  const instructions = await instructionsOf(room, place.guildId, settings, chosen.persona);
  const adapter = chosen.adapter ?? settings.adapter ?? undefined;
  const perMinute = personLimit(settings, roleIds);
  return {
    kind: "served",
    terms: {
      conversation: conversationKey({ ...place, personKey }, settings.memory),
      isRemembered: settings.memory !== "off",
      ...(instructions === "" ? {} : { instructions }),
      ...(adapter === undefined ? {} : { adapter }),
      ...(perMinute === undefined ? {} : { perMinute }),
    },
  };
}

/** What managers wrote, as far as it may stand by the rules of today. */
async function instructionsOf(
  room: Room,
  guildId: string | null,
  settings: GuildSettings,
  chosen: string | undefined,
): Promise<string> {
  if (guildId === null) return "";
  const name = chosen ?? settings.persona ?? undefined;
  const written = [
    { persona: name, text: personaText(settings, name) ?? "" },
    { persona: undefined, text: settings.promptAddition },
  ].filter(({ text }) => text !== "");
  return (await room.instructions.fitting(guildId, written)).join("\n");
}

function rolesOf(member: Member): readonly string[] {
  if (member === null) return [];
  return Array.isArray(member.roles)
    ? member.roles
    : "cache" in member.roles
      ? [...member.roles.cache.keys()]
      : [];
}
