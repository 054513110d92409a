/** The community that a fresh playground starts with: one guild, its channels, six people, one bot. */
import { PermissionFlagsBits as Bits, Locale } from "discord-api-types/v10";
import type { ChannelRecord, UserRecord } from "./records.ts";

/** The one guild; also the id of its @everyone role, as on Discord. */
export const GUILD_ID = "1200000000000000001";
/** Also the application's id, as for every application made since 2016. */
export const BOT_ID = "1200000000000000002";
/** The role that the bot's invitation made. */
export const BOT_ROLE_ID = "1200000000000000003";
/** The guild's owner, who has every permission. */
export const OWNER_ID = "1200000000000000011";
/** Name of the guild. */
export const GUILD_NAME = "Lighthouse Commons";

/** A role that people can have. */
export type RoleSeed = {
  readonly id: string;
  readonly name: string;
  /** 0xRRGGBB */
  readonly color: number;
  /** Permission bits that it adds to everyone's. */
  readonly permissions: bigint;
  /** User names of those who have it at the start. */
  readonly members: readonly string[];
};

/** The roles of a fresh playground, lowest first. */
export const ROLES: readonly RoleSeed[] = [
  {
    id: "1200000000000000004",
    name: "Regulars",
    color: 0x86d1b5,
    permissions: 0n,
    members: ["aiko", "sade"],
  },
  {
    id: "1200000000000000005",
    name: "Keepers",
    color: 0xf2c879,
    permissions: Bits.ManageMessages | Bits.ModerateMembers,
    members: ["tomas"],
  },
];

const PEOPLE = ["Mira", "Tomas", "Aiko", "Sade", "Noor", "Jonas"];
const CHANNELS = [
  { name: "general", topic: "Say hello. Mention @Zephyr or type / to talk with it." },
  { name: "questions", topic: "Ask anything; react to answers so that Zephyr learns what helps." },
  { name: "cooking", topic: "Recipes, rescues and leftovers." },
  { name: "workshop", topic: "Things being built, mended or programmed." },
];
const CATEGORY_ID = "1200000000000000100";

/** Everybody who is there at the start. @param nowMs when they joined */
export function seedUsers(nowMs: number): UserRecord[] {
  const people = PEOPLE.map((displayName, index) => ({
    id: String(BigInt(OWNER_ID) + BigInt(index)),
    username: displayName.toLowerCase(),
    displayName,
    bot: false,
    listed: true,
    joinedAtMs: nowMs,
    roleIds: rolesAtStart(displayName.toLowerCase()),
    locale: Locale.EnglishUS,
  }));
  const bot = { id: BOT_ID, username: "Zephyr", displayName: "Zephyr", bot: true, listed: false };
  const own = { joinedAtMs: nowMs, roleIds: [BOT_ROLE_ID], locale: Locale.EnglishUS };
  return [{ ...bot, ...own }, ...people];
}

function rolesAtStart(username: string): string[] {
  return ROLES.filter(({ members }) => members.includes(username)).map(({ id }) => id);
}

/** A category and its text channels. */
export function seedChannels(): ChannelRecord[] {
  const blank = {
    guildId: GUILD_ID,
    recipientId: null,
    lastMessageId: null,
    overwrites: [],
    thread: null,
  };
  const category = {
    ...blank,
    id: CATEGORY_ID,
    parentId: null,
    type: 4,
    name: "Community",
    topic: null,
    position: 0,
  };
  const channels = CHANNELS.map(({ name, topic }, index) => ({
    ...blank,
    id: String(BigInt(CATEGORY_ID) + BigInt(index + 1)),
    parentId: CATEGORY_ID,
    type: 0,
    name,
    topic,
    position: index,
  }));
  return [category, ...channels];
}
