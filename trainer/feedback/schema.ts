/** The feedback log's tables, and its rows as records. Knows nothing of who reads or writes them. */
import { z } from "zod";
import { type Candidate, type Exchange, FEEDBACK_KINDS, type FeedbackEvent } from "./records.ts";

/**
 * Migrations, oldest first. `events` is append-only by triggers: an id that is there already is
 * skipped (also under INSERT OR REPLACE, which would otherwise delete), and UPDATE and DELETE fail.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE exchanges (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL CHECK (source IN ('discord', 'playground', 'http')),
    guild_id TEXT,
    channel_id TEXT NOT NULL,
    thread_id TEXT,
    author_key TEXT NOT NULL,
    messages TEXT NOT NULL,
    system_prompt_sha256 TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX exchanges_by_channel ON exchanges (channel_id, created_at_ms);
  CREATE INDEX exchanges_by_thread ON exchanges (thread_id, created_at_ms);
  CREATE TABLE candidates (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    exchange_id TEXT NOT NULL REFERENCES exchanges (id),
    text TEXT NOT NULL,
    adapter TEXT,
    sampling TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX candidates_by_exchange ON candidates (exchange_id);
  CREATE TABLE messages (
    message_id TEXT PRIMARY KEY,
    candidate_id TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX messages_by_candidate ON messages (candidate_id);
  CREATE TABLE deletions (
    id TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    candidate_id TEXT NOT NULL,
    rater_key TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('reaction', 'rate')),
    value INTEGER NOT NULL,
    comment TEXT,
    action TEXT NOT NULL CHECK (action IN ('made', 'withdrawn')),
    at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX events_by_candidate ON events (candidate_id, rater_key);
  CREATE TRIGGER events_once BEFORE INSERT ON events
    WHEN EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
    BEGIN SELECT RAISE(IGNORE); END;
  CREATE TRIGGER events_never_change BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
  CREATE TRIGGER events_never_go BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
  `,
  `
  CREATE TABLE exchange_people (
    exchange_id TEXT NOT NULL,
    person_key TEXT NOT NULL,
    PRIMARY KEY (exchange_id, person_key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX exchange_people_by_person ON exchange_people (person_key);
  INSERT INTO exchange_people SELECT id, author_key FROM exchanges;
  CREATE TABLE exchange_messages (
    exchange_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    PRIMARY KEY (exchange_id, message_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX exchange_messages_by_message ON exchange_messages (message_id);
  CREATE TABLE voided_raters (
    rater_key TEXT NOT NULL,
    -- '' stands for every server.
    guild_id TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (rater_key, guild_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE sealing (is_done INTEGER NOT NULL CHECK (is_done = 1)) STRICT;
  `,
  // More kinds of feedback: SQLite changes a CHECK only by a new table.
  `
  CREATE TABLE events_2 (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    candidate_id TEXT NOT NULL,
    rater_key TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('reaction', 'vote', 'rate', 'regenerate', 'report')),
    value INTEGER NOT NULL,
    comment TEXT,
    action TEXT NOT NULL CHECK (action IN ('made', 'withdrawn')),
    at_ms INTEGER NOT NULL
  ) STRICT;
  INSERT INTO events_2 SELECT * FROM events ORDER BY sequence;
  DROP TABLE events;
  ALTER TABLE events_2 RENAME TO events;
  CREATE INDEX events_by_candidate ON events (candidate_id, rater_key);
  CREATE TRIGGER events_once BEFORE INSERT ON events
    WHEN EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
    BEGIN SELECT RAISE(IGNORE); END;
  CREATE TRIGGER events_never_change BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
  CREATE TRIGGER events_never_go BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
  `,
  // What the bot has heard, and what it has to read again (hearing.ts).
  `
  CREATE TABLE hearing (
    shards INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    heard_at_ms INTEGER NOT NULL,
    PRIMARY KEY (shards, shard)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE unheard (
    message_id TEXT PRIMARY KEY,
    guild_id TEXT,
    place_id TEXT NOT NULL,
    is_thread INTEGER NOT NULL,
    is_answer INTEGER NOT NULL,
    heard_at_ms INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    is_tried INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // A person's own events are found without reading everybody's.
  "CREATE INDEX events_by_rater ON events (rater_key);",
  // What moderators did: the last entries that were heard, and from where they are to be read (unheard-acts.ts).
  `
  CREATE TABLE heard_acts (
    guild_id TEXT NOT NULL,
    act INTEGER NOT NULL,
    entry_id INTEGER NOT NULL,
    PRIMARY KEY (guild_id, act)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE unheard_acts (
    guild_id TEXT NOT NULL,
    act INTEGER NOT NULL,
    after_id INTEGER,
    heard_at_ms INTEGER NOT NULL,
    begun_at_ms INTEGER NOT NULL,
    is_tried INTEGER NOT NULL,
    PRIMARY KEY (guild_id, act)
  ) STRICT, WITHOUT ROWID;
  `,
];

/** The shard of a row's server, https://discord.com/developers/docs/events/gateway#sharding; direct messages are on the first. */
export const SHARD = "(ifnull(CAST(guild_id AS INTEGER), 0) >> 22)";
/** When a row's server was heard last, whichever process had it then. */
export const HEARD = `(SELECT max(h.heard_at_ms) FROM hearing h WHERE ${SHARD} % h.shards = h.shard)`;

/**
 * Erases the text of what has a tombstone: the exchange or answer of this id, or what this message shows.
 * An exchange whose context holds a message with a tombstone gets one itself.
 */
export const ERASE: readonly string[] = [
  `INSERT OR IGNORE INTO deletions
   SELECT m.exchange_id, d.at_ms FROM exchange_messages m JOIN deletions d ON d.id = m.message_id
   WHERE m.exchange_id = ?1 OR m.message_id = ?1`,
  `UPDATE exchanges SET messages = '[]'
   WHERE id IN (SELECT ?1 UNION SELECT exchange_id FROM exchange_messages WHERE message_id = ?1)
     AND id IN (SELECT id FROM deletions)`,
  `UPDATE candidates SET text = ''
   WHERE (id = ?1 OR exchange_id = ?1
          OR exchange_id IN (SELECT exchange_id FROM exchange_messages WHERE message_id = ?1)
          OR id IN (SELECT candidate_id FROM messages WHERE message_id = ?1))
     AND (id IN (SELECT id FROM deletions) OR exchange_id IN (SELECT id FROM deletions)
          OR EXISTS (SELECT 1 FROM messages m JOIN deletions d ON d.id = m.message_id
                     WHERE m.candidate_id = candidates.id))`,
];

/** The exchanges that hold a message's text. */
export const HOLDS = "SELECT 1 FROM exchange_messages WHERE message_id = ? LIMIT 1";

/** The events about an exchange's answers, without comments and the keys that open them. */
export const VOTES_ON = `SELECT v.*, NULL AS comment
  FROM candidates c JOIN events v ON v.candidate_id = c.id WHERE c.exchange_id = ? ORDER BY v.sequence`;

/** The server in which an answer was given. */
export const GUILD_OF =
  "SELECT guild_id FROM exchanges WHERE id = (SELECT exchange_id FROM candidates WHERE id = ?)";

/** Until when a rater's votes are void in the server of an answer, or in all. */
export const VOID_UNTIL = `SELECT max(until_ms) AS until_ms FROM voided_raters
  WHERE rater_key = ?1 AND guild_id IN ('', ifnull((
    SELECT guild_id FROM exchanges WHERE id = (SELECT exchange_id FROM candidates WHERE id = ?2)), ''))`;

/** Voids a rater's votes until then in one server, or in all (''). */
export const VOID = `INSERT INTO voided_raters VALUES (?, ?, ?) ON CONFLICT (rater_key, guild_id)
  DO UPDATE SET until_ms = max(until_ms, excluded.until_ms)`;

/** What forbids changes to events, by name: sealing old comments has to lift it for a moment. */
export const EVENTS_NEVER_CHANGE = {
  drop: "DROP TRIGGER events_never_change",
  create: `CREATE TRIGGER events_never_change BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END`,
} as const;

const json = z.string().transform((text): unknown => JSON.parse(text));
const message = z.object({ role: z.enum(["system", "user", "assistant"]), content: z.string() });

const exchangeRow = z.object({
  id: z.string(),
  source: z.enum(["discord", "playground", "http"]),
  guild_id: z.string().nullable(),
  channel_id: z.string(),
  thread_id: z.string().nullable(),
  author_key: z.string(),
  messages: json.pipe(z.array(message)),
  system_prompt_sha256: z.string(),
  created_at_ms: z.number(),
});

const candidateRow = z.object({
  id: z.string(),
  exchange_id: z.string(),
  text: z.string(),
  adapter: z.string().nullable(),
  sampling: json.pipe(z.record(z.string(), z.number())),
  finish_reason: z.string(),
  created_at_ms: z.number(),
});

const eventRow = z.object({
  id: z.string(),
  candidate_id: z.string(),
  rater_key: z.string(),
  kind: z.enum(FEEDBACK_KINDS),
  value: z.number(),
  comment: z.string().nullable(),
  action: z.enum(["made", "withdrawn"]),
  at_ms: z.number(),
});

/** A row of `exchanges`. */
export function toExchange(row: unknown): Exchange {
  const r = exchangeRow.parse(row);
  return {
    id: r.id,
    source: r.source,
    guildId: r.guild_id,
    channelId: r.channel_id,
    threadId: r.thread_id,
    authorKey: r.author_key,
    messages: r.messages,
    systemPromptSha256: r.system_prompt_sha256,
    createdAtMs: r.created_at_ms,
  };
}

/** A row of `candidates`. */
export function toCandidate(row: unknown): Candidate {
  const r = candidateRow.parse(row);
  return {
    id: r.id,
    exchangeId: r.exchange_id,
    text: r.text,
    adapter: r.adapter,
    sampling: r.sampling,
    finishReason: r.finish_reason,
    createdAtMs: r.created_at_ms,
  };
}

/** A row of `events`. */
export function toEvent(row: unknown): FeedbackEvent {
  const r = eventRow.parse(row);
  return {
    id: r.id,
    candidateId: r.candidate_id,
    raterKey: r.rater_key,
    kind: r.kind,
    value: r.value,
    ...(r.comment === null ? {} : { comment: r.comment }),
    action: r.action,
    atMs: r.at_ms,
  };
}
