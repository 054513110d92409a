/** What the listeners of Discord's events work with. */
import type { AnyThreadChannel, Channel, Client, Message } from "discord.js";
import type { Clock } from "#engine/base/clock.ts";
import type { Logger } from "#engine/base/log.ts";
import type { EngineClient } from "#engine/client/engine-client.ts";
import type { ConsentBook } from "#trainer/feedback/consent.ts";
import type { Pseudonymise } from "#trainer/feedback/pseudonym.ts";
import type { TrainingWishes } from "#trainer/feedback/training-wishes.ts";
import type { AnswerDesk } from "../answer/answer-desk.ts";
import type { Learning } from "../commands/replies.ts";
import type { Comparisons } from "../compare/comparisons.ts";
import type { SeenIds } from "../conversation/addressed.ts";
import type { ConversationMemory } from "../conversation/memory.ts";
import type { FeedbackCapture } from "../feedback/capture.ts";
import type { Notices } from "../feedback/notices.ts";
import type { HeardLocales } from "../language/heard-locales.ts";
import type { Language } from "../language/language.ts";
import type { Languages } from "../language/languages.ts";
import type { CaseBook } from "../moderation/case-book.ts";
import type { ModerationChoicesBook } from "../moderation/choices.ts";
import type { Screens } from "../moderation/screened-engine.ts";
import type { PersonalData } from "../privacy/personal-data.ts";
import type { Instructions } from "../settings/instructions.ts";
import type { SettingsBook } from "../settings/settings-book.ts";
import type { Absence } from "./gateway/absence.ts";
import type { Stamps } from "./gateway/stamps.ts";
import type { GuildRules } from "./moderation/guild-rules.ts";
import type { ModLog } from "./moderation/mod-log.ts";

/**
 * The language of a server: what its managers chose, else its own in Discord.
 * @param otherwise a locale for direct messages, which have no server
 */
export type LanguageOf = (guildId: string | null, otherwise?: string) => Promise<Language>;

/** The parts of a running bot. */
export type Room = {
  readonly client: Client<true>;
  readonly desk: AnswerDesk;
  readonly memory: ConversationMemory;
  readonly capture: FeedbackCapture;
  readonly pseudonymise: Pseudonymise;
  /** Who lets the bot learn from them. */
  readonly consent: ConsentBook;
  /** What is kept of one person. */
  readonly personalData: PersonalData;
  /** Days for which questions and answers are kept. */
  readonly retentionDays: number;
  readonly learning: Learning;
  /** What each server's managers decided. */
  readonly settings: SettingsBook;
  /** The languages that the bot speaks: to one person in theirs. */
  readonly languages: Languages;
  /** To all in a server in the server's. */
  readonly languageOf: LanguageOf;
  /** In direct messages, in the one that the person used last. */
  readonly heardLocales: HeardLocales;
  /** Blind comparisons that are open. */
  readonly comparisons: Comparisons;
  /** What managers write for the system prompt. */
  readonly instructions: Instructions;
  /** The adapters that there are; none when the engine is away. */
  readonly adapterNames: () => Promise<readonly string[]>;
  readonly adapters: Pick<EngineClient, "adapters" | "activate" | "deactivate">;
  /** What operators wish of the training. */
  readonly wishes: TrainingWishes;
  /** Messages that are to be read again, in all servers. @throws CodedError `database_failed` */
  readonly unread: () => number;
  /** Whether a person runs this bot. */
  readonly isOperator: (personId: string) => Promise<boolean>;
  /** Numbered cases of each server's moderation, and their messages. */
  readonly cases: CaseBook;
  readonly modLog: ModLog;
  /** What each server's managers chose about moderation. */
  readonly moderation: ModerationChoicesBook;
  /** AutoMod's keyword rules of each server. */
  readonly rules: GuildRules;
  /** What a server's own rules let stand in the bot's messages. */
  readonly screens: Screens;
  /** Voids what a person has voted in a server so far, or until then. */
  readonly voidVotes: (personKey: string, guildId: string, untilMs?: number) => void;
  /** Servers of which it was said that the bot may not read their audit log. */
  readonly closedLogs: Set<string>;
  /** Whether the engine's model looks at pictures. @throws CodedError `engine_unreachable` */
  readonly seesImages: () => Promise<boolean>;
  readonly clock: Clock;
  /** The text of `/status` now. */
  readonly status: (language: Language) => Promise<string>;
  /** Messages and interactions that were handled. */
  readonly seen: SeenIds;
  /** When things were done, as the gateway ordered them. */
  readonly stamps: Stamps;
  /** Since when each shard's gateway was not heard. */
  readonly absence: Absence;
  /** Where people were told that votes are not saved. */
  readonly notices: Notices;
  readonly log: Logger;
};

/** Where something happened, as records name it: a thread is its own channel, as for Discord. */
export type Place = {
  readonly guildId: string | null;
  readonly channelId: string;
  readonly threadId: string | null;
  /** A thread is as its parent is. */
  readonly isAgeRestricted: boolean;
};

/** @param channel null where it is not known, as in some direct messages */
export function placeOf(
  at: { readonly guildId: string | null; readonly channelId: string },
  channel: Channel | null,
): Place {
  const threadId = channel?.isThread() === true ? channel.id : null;
  const holder = channel?.isThread() === true ? channel.parent : channel;
  const isAgeRestricted = holder !== null && "nsfw" in holder && holder.nsfw;
  return { guildId: at.guildId, channelId: at.channelId, threadId, isAgeRestricted };
}

/** The channel of an interaction, asked for where it is not known. */
export async function channelOf(
  room: Room,
  at: { readonly channel: Channel | null; readonly channelId: string },
): Promise<Channel | null> {
  return at.channel ?? (await room.client.channels.fetch(at.channelId).catch(() => null));
}

/** A place that only one person sees: where ephemeral answers are recorded and remembered. */
export function privatePlace(place: Place, personKey: string): Place {
  return { ...place, channelId: `${place.channelId}:only:${personKey}`, threadId: null };
}

/** Whether the bot answers a thread's messages without a mention: it was asked there, or the thread is about its answer. */
export async function isInThread(room: Room, thread: AnyThreadChannel): Promise<boolean> {
  const mode = await room.memory.threadMode(thread.id);
  if (mode !== undefined) return mode === "all";
  if (thread.ownerId === room.client.user.id) return true;
  // A thread on a message has that message's id.
  return room.capture.answerOfMessage(thread.id) !== undefined;
}

/** How a person is called where they wrote. */
export function speakerName(message: Message): string {
  return message.member?.displayName ?? message.author.displayName;
}
