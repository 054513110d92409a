/**
 * After a gap in what the gateway told (a new session instead of a resumed one), the messages of recent
 * exchanges are read again: those that were deleted or edited meanwhile are forgotten, and the reactions
 * on answers put right. Bounded, one request at a time, and slow enough to leave the limits to answers.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  type APIMessage,
  type APIUser,
  DiscordAPIError,
  RESTJSONErrorCodes,
  Routes,
} from "discord.js";
import type { RecentMessage } from "#trainer/feedback/schema.ts";
import { voteOf } from "../../feedback/reactions.ts";
import { forgetById } from "../on-deletion.ts";
import type { Room } from "../room.ts";

/** A new session of one shard. */
export type NewSession = {
  readonly id: string;
  readonly shardId: number;
  readonly guildIds: ReadonlySet<string>;
};

const MESSAGES = 1_000;
const EXCHANGES = 500;
const WINDOW_MS = 30 * 24 * 60 * 60 * 1_000;
const PAUSE_MS = 150;
/** Discord's clock and ours may differ by so much. */
const SKEW_MS = 60_000;
/** When so many requests fail one after another, Discord is away: the next session tries again. */
const FAILURES_IN_A_ROW = 10;
/** Reactions of one emoji that are read, a hundred at a time. */
const PAGE = 100;
const PAGES = 10;

type Outcome = "same" | "forgotten" | "unread";

/** Reads again what may have changed unheard. */
export async function reread(room: Room, session: NewSession): Promise<void> {
  const heardAtMs = await room.absence.sinceMs(session.shardId);
  const tally = { same: 0, forgotten: 0, unread: 0 };
  let failures = 0;
  for (const message of toRead(room, session)) {
    const isOver = !room.client.isReady() || !room.absence.isBehind(session.shardId, session.id);
    if (isOver || failures >= FAILURES_IN_A_ROW) return;
    const outcome = await readAgain(room, session, message, heardAtMs);
    failures = outcome === "unread" ? failures + 1 : 0;
    tally[outcome] += 1;
    await sleep(PAUSE_MS);
  }
  room.absence.caughtUp(session.shardId);
  const read = tally.same + tally.forgotten + tally.unread;
  if (read > 0) room.log.info(tally, "messages were read again after a gap");
}

/** Newest first. Direct messages come to the first shard. */
function toRead(room: Room, { guildIds, shardId }: NewSession): readonly RecentMessage[] {
  const sinceMs = room.clock.nowMs() - WINDOW_MS;
  return room.capture
    .recentMessages(sinceMs, EXCHANGES)
    .filter(({ guildId }) => (guildId === null ? shardId === 0 : guildIds.has(guildId)))
    .filter(({ placeId }) => /^\d+$/.test(placeId))
    .slice(0, MESSAGES);
}

async function readAgain(
  room: Room,
  session: NewSession,
  message: RecentMessage,
  heardAtMs: number | undefined,
): Promise<Outcome> {
  // What happens from here on is heard, and is later than what is read.
  const stamp = room.stamps.reading(session);
  const channelId = await channelOf(room, message);
  const found = channelId === undefined ? "unread" : await fetchMessage(room, channelId, message);
  if (found === "unread") return "unread";
  if (found === "gone" || wasEdited(found, heardAtMs ?? message.createdAtMs)) {
    await forgetById(room, message.messageId);
    return "forgotten";
  }
  if (!message.isAnswer) return "same";
  const votes = await readVotes(room, found).catch(() => undefined);
  if (votes === undefined) return "unread";
  room.capture.reactionsRead(message.messageId, votes, stamp);
  return "same";
}

/** A thread's conversation may hold messages of its parent: these are as old as the thread, or older. */
async function channelOf(
  room: Room,
  { messageId, placeId, isThread }: RecentMessage,
): Promise<string | undefined> {
  if (!isThread || BigInt(messageId) > BigInt(placeId)) return placeId;
  const thread = await room.client.channels.fetch(placeId).catch(() => null);
  return thread?.isThread() === true ? (thread.parentId ?? undefined) : undefined;
}

/** Only what Discord says is unknown is gone: where the bot may not read, nothing is known. */
async function fetchMessage(
  room: Room,
  channelId: string,
  { messageId }: RecentMessage,
): Promise<APIMessage | "gone" | "unread"> {
  try {
    return (await room.client.rest.get(Routes.channelMessage(channelId, messageId))) as APIMessage;
  } catch (error) {
    const isGone =
      error instanceof DiscordAPIError &&
      (error.code === RESTJSONErrorCodes.UnknownMessage ||
        error.code === RESTJSONErrorCodes.UnknownChannel);
    return isGone ? "gone" : "unread";
  }
}

/** Edits until then were heard, or are what was read in the first place. */
function wasEdited({ author, edited_timestamp }: APIMessage, heardAtMs: number): boolean {
  if (author.bot === true || edited_timestamp === null) return false;
  return Date.parse(edited_timestamp) > heardAtMs - SKEW_MS;
}

/** Who stands with 👍 and 👎 now, bots apart. */
async function readVotes(room: Room, message: APIMessage) {
  const votes = { up: newReading(), down: newReading() };
  for (const { emoji } of message.reactions ?? []) {
    const value = emoji.id === null ? voteOf(emoji.name) : undefined;
    if (value === undefined || emoji.name === null) continue;
    const reading = value === 1 ? votes.up : votes.down;
    const { users, isWhole } = await readReactors(room, message, emoji.name);
    reading.isWhole &&= isWhole;
    for (const user of users) if (user.bot !== true) reading.personIds.add(user.id);
  }
  return votes;
}

function newReading(): { readonly personIds: Set<string>; isWhole: boolean } {
  return { personIds: new Set(), isWhole: true };
}

async function readReactors(room: Room, { id, channel_id }: APIMessage, emoji: string) {
  const route = Routes.channelMessageReaction(channel_id, id, encodeURIComponent(emoji));
  const users: APIUser[] = [];
  for (let page = 0; page < PAGES; page++) {
    const query = new URLSearchParams({ limit: String(PAGE), after: users.at(-1)?.id ?? "0" });
    const read = (await room.client.rest.get(route, { query })) as APIUser[];
    users.push(...read);
    if (read.length < PAGE) return { users, isWhole: true };
  }
  return { users, isWhole: false };
}
