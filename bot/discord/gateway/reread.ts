/**
 * After a gap in what the gateway told (a new session instead of a resumed one), the messages of recent
 * exchanges are read again: those that were deleted or edited meanwhile are forgotten, and the reactions
 * on answers put right, once it is known whom moderators expelled. Bounded, one request at a time, and slow
 * enough to leave the limits to answers.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  type APIMessage,
  type APIUser,
  DiscordAPIError,
  RESTJSONErrorCodes,
  Routes,
} from "discord.js";
import type { UnheardMessage } from "#trainer/feedback/hearing.ts";
import { voteOf } from "../../feedback/reactions.ts";
import { forgetById } from "../on-deletion.ts";
import type { Room } from "../room.ts";
import { AuditLogs, noteClosedLogs } from "./audit-logs.ts";
import { PAUSE_MS } from "./pause.ts";

/** A new session of one shard. */
export type NewSession = {
  readonly id: string;
  readonly shardId: number;
  readonly guildIds: ReadonlySet<string>;
};

/** Discord's clock and ours may differ by so much. */
const SKEW_MS = 60_000;
/** When so many requests fail one after another, Discord is away. */
const FAILURES_IN_A_ROW = 10;
/** Then it is tried again after so long … */
const AWAY_MS = 60_000;
/** … and what the bot may not read, after so long, while the session lasts. */
const AGAIN_MS = 15 * 60_000;
/** Reactions of one emoji that are read, a hundred at a time. */
const PAGE = 100;
const PAGES = 10;

/** `closed`: the bot may not read that channel; `later`: first it must be known whose votes are void. */
type Outcome = "same" | "forgotten" | "unread" | "closed" | "later";

/** Reads again what may have changed unheard, until all of it is read or the session ends. */
export async function reread(room: Room, session: NewSession): Promise<void> {
  while (goesOn(room, session)) {
    const end = await readAll(room, session);
    if (end === "done") return;
    await sleep(end === "away" ? AWAY_MS : AGAIN_MS, undefined, { ref: false });
  }
}

function goesOn(room: Room, { shardId, id }: NewSession): boolean {
  return room.client.isReady() && room.absence.isNewest(shardId, id);
}

/** One reading of all that is to be read. */
type Pass = {
  readonly tally: Record<Outcome, number>;
  /** Channels that the bot may not read. */
  readonly closed: Set<string>;
  readonly auditLogs: AuditLogs;
  failuresInARow: number;
};

/** `away`: Discord does not answer; `left`: some may not be read now. */
async function readAll(room: Room, session: NewSession): Promise<"done" | "away" | "left"> {
  const tally = { same: 0, forgotten: 0, unread: 0, closed: 0, later: 0 };
  const auditLogs = new AuditLogs(room, session.shardId, () => goesOn(room, session));
  const pass: Pass = { tally, closed: new Set(), auditLogs, failuresInARow: 0 };
  noteClosedLogs(room);
  for (const message of room.absence.unheard(session.shardId)) {
    if (!goesOn(room, session)) return "done";
    const outcome = await tryOne(room, session, message, pass);
    if (pass.failuresInARow >= FAILURES_IN_A_ROW) return "away";
    tally[outcome] += 1;
    room.absence.tried(message.messageId, outcome === "same" || outcome === "forgotten");
  }
  if ((await readOtherLogs(room, session, pass)) === "away") return "away";
  if (!goesOn(room, session)) return "done";
  auditLogs.giveUp();
  const [unreadLogs, acts] = [auditLogs.left.length, auditLogs.count];
  const left = tally.unread + tally.closed + tally.later + unreadLogs;
  if (tally.same + tally.forgotten + left + acts > 0) {
    room.log.info({ ...tally, acts, unreadLogs }, "messages and audit logs were read after a gap");
  }
  return left === 0 ? "done" : "left";
}

/** Those of servers without any message that is to be read again. */
async function readOtherLogs(
  room: Room,
  session: NewSession,
  { auditLogs }: Pass,
): Promise<"away" | "tried"> {
  let failuresInARow = 0;
  for (const guildId of auditLogs.left) {
    if (!goesOn(room, session) || !session.guildIds.has(guildId)) continue;
    failuresInARow = (await auditLogs.areKnown(guildId)) ? 0 : failuresInARow + 1;
    if (failuresInARow >= FAILURES_IN_A_ROW) return "away";
  }
  return "tried";
}

/** Asks nothing where it is known that the bot may not read. */
async function tryOne(
  room: Room,
  session: NewSession,
  message: UnheardMessage,
  pass: Pass,
): Promise<Outcome> {
  if (!isReachable(session, message) || pass.closed.has(message.placeId)) return "closed";
  const areVotesSure = message.guildId === null || (await pass.auditLogs.areKnown(message.guildId));
  const outcome = await readAgain(room, session, { ...message, areVotesSure });
  if (outcome === "closed") pass.closed.add(message.placeId);
  pass.failuresInARow = outcome === "unread" ? pass.failuresInARow + 1 : 0;
  await sleep(PAUSE_MS);
  return outcome;
}

/** A server that the bot has left can be read no more. Direct messages come to the first shard. */
function isReachable({ guildIds }: NewSession, { guildId }: UnheardMessage): boolean {
  return guildId === null || guildIds.has(guildId);
}

async function readAgain(
  room: Room,
  session: NewSession,
  message: UnheardMessage & { readonly areVotesSure: boolean },
): Promise<Outcome> {
  // What happens from here on is heard, and is later than what is read.
  const stamp = room.stamps.reading(session);
  const channelId = await channelOf(room, message);
  const found = channelId === undefined ? "unread" : await fetchMessage(room, channelId, message);
  if (found === "unread" || found === "closed") return found;
  if (found === "gone" || wasEdited(found, message.heardAtMs)) {
    const { kind } = await forgetById(room, message.messageId);
    return kind === "not_saved" ? "unread" : "forgotten";
  }
  if (!message.isAnswer) return "same";
  if (!message.areVotesSure) return "later";
  const votes = await readVotes(room, found).catch(() => undefined);
  if (votes === undefined) return "unread";
  const { messageId, heardAtMs } = message;
  const { kind } = room.capture.reactionsRead(messageId, votes, stamp, heardAtMs);
  return kind === "not_saved" ? "unread" : "same";
}

/** A thread's conversation may hold messages of its parent: these are as old as the thread, or older. */
async function channelOf(
  room: Room,
  { messageId, placeId, isThread }: UnheardMessage,
): Promise<string | undefined> {
  if (!isThread || BigInt(messageId) > BigInt(placeId)) return placeId;
  const thread = await room.client.channels.fetch(placeId).catch(() => null);
  return thread?.isThread() === true ? (thread.parentId ?? undefined) : undefined;
}

/** Only what Discord says is unknown is gone: where the bot may not read, nothing is known. */
async function fetchMessage(
  room: Room,
  channelId: string,
  { messageId }: UnheardMessage,
): Promise<APIMessage | "gone" | "unread" | "closed"> {
  try {
    return (await room.client.rest.get(Routes.channelMessage(channelId, messageId))) as APIMessage;
  } catch (error) {
    if (!(error instanceof DiscordAPIError)) return "unread";
    if (GONE.has(error.code)) return "gone";
    return error.status === FORBIDDEN ? "closed" : "unread";
  }
}

const GONE: ReadonlySet<number | string> = new Set([
  RESTJSONErrorCodes.UnknownMessage,
  RESTJSONErrorCodes.UnknownChannel,
]);
const FORBIDDEN = 403;

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
