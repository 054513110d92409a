/** What a server's managers decide: the shape, its defaults, and how one part changes. Pure. */
import { z } from "zod";

/** Discord's ids. */
const id = z.string().regex(/^\d{15,20}$/);
/** Selects offer at most 25. */
const ids = z.array(id).max(25);
/** Stands for the language that a server has in Discord. */
export const SERVER_LANGUAGE = "auto";
const LOCALE = /^(auto|[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2})$/;

/** How conversations are kept apart outside of threads, which are always one conversation each. */
export const MEMORY_MODES = ["person", "channel", "off"] as const;

/** Characters of a persona, or of what is added to the system prompt. */
export const PROMPT_CHARACTERS = 1_000;
/** Personas that a server may have: what a select offers, less the neutral one. */
export const PERSONA_LIMIT = 24;

/** A persona's name. */
export const personaName = z.string().regex(/^[\p{L}\p{N} _-]{1,32}$/u);

/** All settings of one server. */
export const guildSettingsSchema = z.object({
  /** Channels in which the bot answers, and their threads; empty: in all that it sees. */
  channelIds: ids.default([]),
  /** Roles that may ask; empty: everybody. */
  roleIds: ids.default([]),
  /** Name of the persona that speaks; null: the neutral one. */
  persona: personaName.nullable().default(null),
  personas: z
    .array(z.object({ name: personaName, text: z.string().min(1).max(PROMPT_CHARACTERS) }))
    .max(PERSONA_LIMIT)
    .default([]),
  /** Stands below the system prompt, which it cannot replace. */
  promptAddition: z.string().max(PROMPT_CHARACTERS).default(""),
  /** Name of an adapter, `base`, or null: the one that serves everybody. */
  adapter: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/)
    .nullable()
    .default(null),
  memory: z.enum(MEMORY_MODES).default("person"),
  /** Questions a minute for members with a role; the most generous of a person's roles counts. */
  roleLimits: z
    .array(z.object({ roleId: id, perMinute: z.int().min(1).max(600) }))
    .max(25)
    .default([]),
  reportChannelId: id.nullable().default(null),
  modLogChannelId: id.nullable().default(null),
  /** In which the bot speaks to all here: a locale such as `de`, or `auto`. */
  locale: z.string().regex(LOCALE).default(SERVER_LANGUAGE),
});

/** All settings of one server. */
export type GuildSettings = z.infer<typeof guildSettingsSchema>;

/** What holds where nothing was set, and in direct messages. */
export const DEFAULT_SETTINGS: GuildSettings = guildSettingsSchema.parse({});

/** The text of the persona that speaks. @param name chosen for one question; else the server's */
export function personaText(settings: GuildSettings, name?: string): string | undefined {
  const wanted = name ?? settings.persona;
  return settings.personas.find((persona) => persona.name === wanted)?.text;
}

/** Whether a question may be asked there by someone with these roles. @param parentId of a thread */
export function isServed(
  settings: GuildSettings,
  at: {
    readonly channelId: string;
    readonly parentId: string | null;
    readonly roleIds: readonly string[];
  },
): "served" | "channel" | "role" {
  const { channelIds, roleIds } = settings;
  const isHere =
    channelIds.length === 0 ||
    channelIds.includes(at.channelId) ||
    (at.parentId !== null && channelIds.includes(at.parentId));
  if (!isHere) return "channel";
  const hasRole = roleIds.length === 0 || at.roleIds.some((role) => roleIds.includes(role));
  return hasRole ? "served" : "role";
}

/** Questions a minute for someone with these roles; undefined: the installation's own limit. */
export function personLimit(
  { roleLimits }: GuildSettings,
  roleIds: readonly string[],
): number | undefined {
  const own = roleLimits.filter(({ roleId }) => roleIds.includes(roleId));
  return own.length === 0 ? undefined : Math.max(...own.map(({ perMinute }) => perMinute));
}

/** What the ids of a server's channels and roles are. */
type OwnIds = {
  readonly isChannel: (id: string) => boolean;
  readonly isRole: (id: string) => boolean;
};

/**
 * The settings without channels and roles of other servers, such as a file may bring: these would keep the bot
 * silent everywhere, or let it write where it has no business.
 * @returns also how many were left out
 */
export function onlyLocal(
  settings: GuildSettings,
  { isChannel, isRole }: OwnIds,
): { readonly settings: GuildSettings; readonly leftOut: number } {
  const { channelIds, roleIds, roleLimits, reportChannelId, modLogChannelId } = settings;
  const own = (id: string | null) => (id !== null && isChannel(id) ? id : null);
  const local = {
    ...settings,
    channelIds: channelIds.filter(isChannel),
    roleIds: roleIds.filter(isRole),
    roleLimits: roleLimits.filter(({ roleId }) => isRole(roleId)),
    reportChannelId: own(reportChannelId),
    modLogChannelId: own(modLogChannelId),
  };
  return { settings: local, leftOut: countIds(settings) - countIds(local) };
}

function countIds(settings: GuildSettings): number {
  const { channelIds, roleIds, roleLimits, reportChannelId, modLogChannelId } = settings;
  const posts = [reportChannelId, modLogChannelId].filter((id) => id !== null);
  return channelIds.length + roleIds.length + roleLimits.length + posts.length;
}
