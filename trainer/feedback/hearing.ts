/**
 * Up to when each of the bot's processes has heard Discord, and which messages have to be read again because
 * something may have been missed about them: in the feedback log's file, so that whoever learns from the log
 * knows what is not sure. It knows neither Discord nor training.
 */
import { z } from "zod";
import type { LogDatabase } from "./log-database.ts";
import { HEARD, SHARD } from "./schema.ts";
import { markUnheardActs, UnheardActsBook, type Watched } from "./unheard-acts.ts";

/** Which part of the servers a process has; servers are parted as Discord's shards are. */
export type Listener = { readonly index: number; readonly count: number };

/** A message that may have been deleted, edited or voted on unheard. */
export type UnheardMessage = {
  readonly messageId: string;
  readonly guildId: string | null;
  /** The channel or thread where its exchange took place. */
  readonly placeId: string;
  readonly isThread: boolean;
  /** It shows an answer, so that reactions on it are votes. */
  readonly isAnswer: boolean;
  /** Until then everything was heard; where nobody knows, when its exchange was recorded. */
  readonly heardAtMs: number;
};

/** What keeps the log from being up to date. */
export type Backlog = {
  /** Messages that are still to be read again. */
  readonly unread: number;
  /** Servers of which it is still to be read what their moderators did. */
  readonly unreadGuilds: number;
  /** Since when Discord is not heard in some server; undefined where all are. */
  readonly deafSinceMs: number | undefined;
};

/** Bots say once a minute at most that they hear; one that has said nothing for so long does not. */
const HEARD_WITHIN_MS = 180_000;
/** Of exchanges without any feedback only the newest are read again, for what is remembered of them. */
const NEWEST = 500;
const NEWEST_WINDOW_MS = 30 * 24 * 60 * 60 * 1_000;
const NOTHING_WATCHED: Watched = { guildIds: [], acts: [] };

/** Messages of a shard that are to be read again; those of a place that only one person sees cannot be. */
const MARKED = `WITH mine AS (
    SELECT id, guild_id, ifnull(thread_id, channel_id) AS place_id, thread_id IS NOT NULL AS is_thread,
           created_at_ms, sequence
    FROM exchanges
    WHERE source <> 'http' AND id NOT IN (SELECT id FROM deletions) AND ${SHARD} % :count = :index
      AND ifnull(thread_id, channel_id) NOT GLOB '*[^0-9]*'),
  marked AS (
    SELECT * FROM (SELECT * FROM mine WHERE created_at_ms >= :since ORDER BY sequence DESC LIMIT ${NEWEST})
    UNION
    SELECT * FROM mine WHERE EXISTS (
      SELECT 1 FROM candidates c JOIN events v ON v.candidate_id = c.id WHERE c.exchange_id = mine.id))`;
const MARK_ANSWERS = `INSERT OR IGNORE INTO unheard ${MARKED}
  SELECT m.message_id, guild_id, place_id, is_thread, 1, ifnull(${HEARD}, r.created_at_ms), r.sequence, 0
  FROM marked r JOIN candidates c ON c.exchange_id = r.id JOIN messages m ON m.candidate_id = c.id`;
const MARK_CONTEXT = `INSERT OR IGNORE INTO unheard ${MARKED}
  SELECT m.message_id, guild_id, place_id, is_thread, 0, ifnull(${HEARD}, r.created_at_ms), r.sequence, 0
  FROM marked r JOIN exchange_messages m ON m.exchange_id = r.id`;

/**
 * Exchanges with a message that is to be read again; those of servers whose moderators may have done something
 * unheard, since that may void votes on any of them; and those of servers that nobody hears.
 */
const UNSURE = `SELECT x.exchange_id AS id FROM unheard u JOIN exchange_messages x ON x.message_id = u.message_id
  UNION
  SELECT c.exchange_id FROM unheard u JOIN messages m ON m.message_id = u.message_id
    JOIN candidates c ON c.id = m.candidate_id
  UNION
  SELECT id FROM exchanges WHERE source <> 'http' AND guild_id IN (SELECT guild_id FROM unheard_acts)
  UNION
  SELECT id FROM exchanges WHERE source = 'discord' AND ${HEARD} < ?`;

const unheardRow = z.object({
  message_id: z.string(),
  guild_id: z.string().nullable(),
  place_id: z.string(),
  is_thread: z.number(),
  is_answer: z.number(),
  heard_at_ms: z.number(),
});

/** What was heard. Every method throws CodedError `disk_full` or `database_failed` when SQLite cannot. */
export class Hearing {
  /** What moderators may have done unheard. */
  readonly acts: UnheardActsBook;
  readonly #log: LogDatabase;

  constructor(log: LogDatabase) {
    this.acts = new UnheardActsBook(log);
    this.#log = log;
  }

  /** A process has heard everything in its servers up to then. */
  heard({ index, count }: Listener, atMs: number): void {
    this.#log.write(() => this.#note({ index, count }, atMs));
  }

  /**
   * A process hears Discord anew, and does not know what happened since it did last: what it has to read
   * again is written down before anything else of the new session.
   */
  begins({ index, count }: Listener, nowMs: number, watched = NOTHING_WATCHED): void {
    this.#log.write(() => {
      const shard = { ":count": count, ":index": index, ":since": nowMs - NEWEST_WINDOW_MS };
      this.#log.runNamed(MARK_ANSWERS, shard);
      this.#log.runNamed(MARK_CONTEXT, shard);
      this.#log.run(`UPDATE unheard SET is_tried = 0 WHERE ${SHARD} % ? = ?`, count, index);
      markUnheardActs(this.#log, { index, count }, nowMs, watched);
      this.#note({ index, count }, nowMs);
    });
  }

  /** What a process has to read again, newest first. */
  unheard({ index, count }: Listener): readonly UnheardMessage[] {
    const sql = `SELECT * FROM unheard WHERE ${SHARD} % ? = ? ORDER BY sequence DESC, message_id DESC`;
    return this.#log.all(sql, count, index).map((row) => toUnheard(row));
  }

  /** A message has been read again, and the log put right by it. */
  wasRead(messageId: string): void {
    this.#log.write(() => this.#log.run("DELETE FROM unheard WHERE message_id = ?", messageId));
  }

  /** A message could not be read: nobody need wait for it, and nothing is learnt from it until it was. */
  couldNotRead(messageId: string): void {
    this.#log.write(() =>
      this.#log.run("UPDATE unheard SET is_tried = 1 WHERE message_id = ?", messageId),
    );
  }

  /** What is worth waiting for. A local Discord ends with the bot: what nobody hears there does not happen. */
  backlog(nowMs: number): Backlog {
    const [unread] = this.#log.all("SELECT count(*) AS n FROM unheard WHERE is_tried = 0");
    const [guilds] = this.#log.all(
      "SELECT count(DISTINCT guild_id) AS n FROM unheard_acts WHERE is_tried = 0",
    );
    const [deaf] = this.#log.all(
      `SELECT min(at_ms) AS at_ms FROM (
         SELECT ${HEARD} AS at_ms FROM (SELECT DISTINCT guild_id FROM exchanges WHERE source = 'discord'))
       WHERE at_ms < ?`,
      nowMs - HEARD_WITHIN_MS,
    );
    const deafSince = deaf?.["at_ms"];
    return {
      unread: Number(unread?.["n"] ?? 0),
      unreadGuilds: Number(guilds?.["n"] ?? 0),
      deafSinceMs: typeof deafSince === "number" ? deafSince : undefined,
    };
  }

  /** Ids of the exchanges about which something may have been missed. */
  unsure(nowMs: number): ReadonlySet<string> {
    const rows = this.#log.all(UNSURE, nowMs - HEARD_WITHIN_MS);
    return new Set(rows.map((row) => String(row["id"])));
  }

  #note({ index, count }: Listener, atMs: number): void {
    this.#log.run(
      `INSERT INTO hearing VALUES (?, ?, ?) ON CONFLICT (shards, shard)
       DO UPDATE SET heard_at_ms = max(heard_at_ms, excluded.heard_at_ms)`,
      ...[count, index, atMs],
    );
  }
}

function toUnheard(row: unknown): UnheardMessage {
  const r = unheardRow.parse(row);
  return {
    messageId: r.message_id,
    guildId: r.guild_id,
    placeId: r.place_id,
    isThread: r.is_thread === 1,
    isAnswer: r.is_answer === 1,
    heardAtMs: r.heard_at_ms,
  };
}
