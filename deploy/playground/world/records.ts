/** What the local Discord remembers, as stored. Knows nothing of HTTP, sockets or Discord's JSON. */
import {
  type APIAttachment,
  type APIEmbed,
  type APIMessageTopLevelComponent,
  AuditLogEvent,
  Locale,
} from "discord-api-types/v10";
import { z } from "zod";

const id = z.string().regex(/^\d{1,20}$/);

const userRecord = z.object({
  id,
  username: z.string(),
  displayName: z.string(),
  bot: z.boolean(),
  /** Shown in the page's people switcher; scripted people are not. */
  listed: z.boolean(),
  joinedAtMs: z.number(),
  /** The language that they chose, as Discord writes it. */
  locale: z.enum(Locale).default(Locale.EnglishUS),
  /** Their roles in the guild; records from before there were any have none. */
  roleIds: z.array(id).default([]),
});

const threadRecord = z.object({
  ownerId: id,
  archived: z.boolean(),
  locked: z.boolean(),
  autoArchiveMinutes: z.number(),
  changedAtMs: z.number(),
  createdAtMs: z.number(),
  memberIds: z.array(id),
  messageCount: z.number(),
});

const channelRecord = z.object({
  id,
  /** null for a direct message */
  guildId: id.nullable(),
  parentId: id.nullable(),
  /** discord-api-types' ChannelType: 0 text, 1 DM, 4 category, 11 and 12 threads */
  type: z.number(),
  name: z.string(),
  topic: z.string().nullable(),
  /** age-restricted */
  nsfw: z.boolean().optional(),
  position: z.number(),
  recipientId: id.nullable(),
  lastMessageId: id.nullable(),
  overwrites: z.array(
    z.object({
      id,
      type: z.union([z.literal(0), z.literal(1)]),
      allow: z.string(),
      deny: z.string(),
    }),
  ),
  thread: threadRecord.nullable(),
});

const interactionNote = z.object({
  id,
  /** discord-api-types' InteractionType */
  type: z.number(),
  userId: id,
  /** full name of the command, `null` for components and modals */
  commandName: z.string().nullable(),
  targetMessageId: id.nullable(),
  originalResponseId: id.nullable(),
});

const messageRecord = z.object({
  id,
  channelId: id,
  authorId: id,
  /** discord-api-types' MessageType */
  type: z.number(),
  content: z.string(),
  createdAtMs: z.number(),
  editedAtMs: z.number().nullable(),
  embeds: z.array(z.custom<APIEmbed>()),
  components: z.array(z.custom<APIMessageTopLevelComponent>()),
  attachments: z.array(z.custom<APIAttachment>()),
  flags: z.number(),
  mentionIds: z.array(id),
  mentionEveryone: z.boolean(),
  reference: z.object({ messageId: id.nullable(), channelId: id }).nullable(),
  interaction: interactionNote.nullable(),
  nonce: z.union([z.string(), z.number()]).nullable(),
  /** the only person who sees an ephemeral message */
  visibleTo: id.nullable(),
});

const commandRecord = z.object({
  id,
  version: id,
  guildId: id.nullable(),
  type: z.number(),
  name: z.string(),
  /** the rest of the definition as the application sent it */
  body: z.record(z.string(), z.unknown()),
});

const auditLogRecord = z.object({
  id,
  actionType: z.enum(AuditLogEvent),
  userId: id,
  targetId: id,
  changes: z.array(z.custom<object>()),
  reason: z.string().nullable(),
});

/** A person or the bot, and their membership of the one guild. */
export type UserRecord = z.infer<typeof userRecord>;
/** A guild channel, a thread or a direct message. */
export type ChannelRecord = z.infer<typeof channelRecord>;
/** One message, without what is derived (reactions, the referenced message, its thread). */
export type MessageRecord = z.infer<typeof messageRecord>;
/** One application command. */
export type CommandRecord = z.infer<typeof commandRecord>;
/** One entry of the audit log. */
export type AuditLogRecord = z.infer<typeof auditLogRecord>;
/** Which interaction a message answers. */
export type InteractionNote = z.infer<typeof interactionNote>;
/** Who reacted with one emoji, in order. */
export type ReactionTally = { readonly emoji: string; readonly userIds: readonly string[] };

/** Parsers for what comes back from the database. */
export const RECORDS = {
  user: userRecord,
  channel: channelRecord,
  message: messageRecord,
  command: commandRecord,
  auditLog: auditLogRecord,
};
