/**
 * The feedback log: exchanges, their answers, and append-only events of feedback, in SQLite.
 * Events are never changed or removed; which votes stand is derived (records.ts). Deleted messages
 * leave a tombstone, and their text is erased at once. Text is sealed for the people whose words it is
 * (key-ring.ts), whoever reads or writes it. It knows nothing of training.
 */
import { join } from "node:path";
import type { ChatMessage } from "#engine/backends/backend.ts";
import { type Clock, systemClock } from "#engine/base/clock.ts";
import {
  type Database,
  explainDatabaseError,
  inTransaction,
  openDatabase,
  preparingOnce,
} from "#engine/base/database.ts";
import { CodedError } from "#engine/base/errors.ts";
import { KeyRing, type KeySettings } from "./key-ring.ts";
import {
  type Candidate,
  type Exchange,
  eventProblem,
  type FeedbackEvent,
  type StandingVote,
  standingVotes,
} from "./records.ts";
import {
  ERASE,
  GUILD_OF,
  HOLDS,
  MIGRATIONS,
  RECENT_MESSAGES,
  type RecentMessage,
  toCandidate,
  toEvent,
  toExchange,
  toRecentMessages,
  VOID,
} from "./schema.ts";
import { sealOldText } from "./seal-old-text.ts";
import { CONTEXT, openCandidate, openEvent, openExchange } from "./sealed-rows.ts";
import { validEvents } from "./voided.ts";

/** An exchange with its answers, oldest first. Deleted ones have lost their text. */
export type RecordedExchange = {
  readonly exchange: Exchange;
  readonly candidates: readonly (Candidate & { readonly deleted: boolean })[];
  readonly deleted: boolean;
};

/** An answer and the exchange that it belongs to. */
export type CandidateInExchange = { readonly candidate: Candidate; readonly exchange: Exchange };

/** How much the log holds. */
export type LogCounts = {
  readonly exchanges: number;
  readonly candidates: number;
  readonly events: number;
  readonly standingVotes: number;
};

/** Where the log lies in a data folder. */
export function feedbackPath(dataDir: string): string {
  return join(dataDir, "feedback.db");
}

/** The log. Every method throws CodedError `disk_full` or `database_failed` when SQLite cannot. */
export class FeedbackLog implements Disposable {
  readonly #database: Database;
  readonly #prepare: ReturnType<typeof preparingOnce>;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #keys: KeyRing;

  private constructor(database: Database, path: string, clock: Clock, keys: KeyRing) {
    this.#database = database;
    this.#prepare = preparingOnce(database);
    this.#path = path;
    this.#clock = clock;
    this.#keys = keys;
  }

  /**
   * Opens or creates the log at `path` (see `feedbackPath`), and seals what is in the clear there.
   * @param keys the log's own from then on; those of its folder when left out
   * @throws CodedError `database_failed`, `disk_full`, `config_invalid`
   */
  static open(path: string, clock: Clock = systemClock, keys?: KeyRing): FeedbackLog {
    const ring = keys ?? KeyRing.beside(path);
    const database = openDatabase(path, MIGRATIONS);
    try {
      database.exec("PRAGMA secure_delete = ON");
      sealOldText(database, ring);
    } catch (error) {
      database.close();
      throw explainDatabaseError(error, path);
    }
    return new FeedbackLog(database, path, clock, ring);
  }

  /** Opens the log of a data folder, with the keys that the settings name. @throws CodedError as `open` */
  static openIn(settings: KeySettings, clock: Clock = systemClock): FeedbackLog {
    return FeedbackLog.open(feedbackPath(settings.DATA_DIR), clock, KeyRing.open(settings));
  }

  /** Records a question and its answers. Repeating it changes nothing; more answers may follow later. */
  recordExchange(exchange: Exchange, candidates: readonly Candidate[]): void {
    this.#write(() => {
      this.#insertExchange(exchange);
      for (const candidate of candidates) this.#insertCandidate(candidate, exchange.id);
      this.#erase(exchange.id);
    });
  }

  /** Notes that a message shows (a part of) this answer. */
  recordMessage(messageId: string, candidateId: string): void {
    this.#write(() => {
      this.#run("INSERT OR IGNORE INTO messages VALUES (?, ?)", messageId, candidateId);
      this.#erase(messageId);
    });
  }

  /**
   * Records one act of feedback; the answer it is about may be recorded later.
   * @throws CodedError `invalid_request` when the value does not fit the kind
   */
  record(event: FeedbackEvent): "recorded" | "duplicate" {
    const problem = eventProblem(event);
    if (problem !== undefined) throw new CodedError(problem, { code: "invalid_request" });
    const { id, candidateId, raterKey, kind, value, comment, action, atMs } = event;
    return this.#guard(() => {
      const { changes } = this.#prepare(
        `INSERT INTO events (id, candidate_id, rater_key, kind, value, comment, action, at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      ).run(
        ...[id, candidateId, raterKey, kind, value],
        comment === undefined ? null : this.#keys.seal([raterKey], comment, CONTEXT.comment(id)),
        ...[action, atMs],
      );
      return changes === 0 ? "duplicate" : "recorded";
    });
  }

  /**
   * Notes that something is gone and erases its text: a message that showed an answer, an answer
   * or a whole exchange. May arrive before what it deletes is recorded.
   */
  recordDeletion(id: string, atMs: number = this.#clock.nowMs()): void {
    this.#write(() => {
      this.#run("INSERT OR IGNORE INTO deletions VALUES (?, ?)", id, atMs);
      this.#erase(id);
    });
  }

  /** The answer that a message shows. */
  candidateOfMessage(messageId: string): CandidateInExchange | undefined {
    return this.#findCandidate(
      "c.id = (SELECT candidate_id FROM messages WHERE message_id = ?)",
      messageId,
    );
  }

  /** An answer by its id. */
  candidate(candidateId: string): CandidateInExchange | undefined {
    return this.#findCandidate("c.id = ?", candidateId);
  }

  /** The last answer in a channel or thread; of those to one asker, when named. */
  lastCandidate(channelId: string, authorKey?: string): CandidateInExchange | undefined {
    const inChannel = "(e.channel_id = ? OR e.thread_id = ?)";
    return authorKey === undefined
      ? this.#findCandidate(inChannel, channelId, channelId)
      : this.#findCandidate(`${inChannel} AND e.author_key = ?`, channelId, channelId, authorKey);
  }

  /** The votes that stand now, one a person, answer and kind; voided ones do not. */
  standing(): readonly StandingVote[] {
    return standingVotes(this.#valid(this.events()));
  }

  /**
   * Voids every vote that a person has given so far: after a ban from a server, or everywhere when
   * they want to be forgotten.
   */
  voidVotes(raterKey: string, guildId?: string): void {
    this.#write(() => this.#run(VOID, raterKey, guildId ?? "", this.#clock.nowMs()));
  }

  /** Whether a Discord message's text is in some exchange. */
  holdsMessage(messageId: string): boolean {
    return this.#all(HOLDS, messageId).length > 0;
  }

  /** The messages of the newest exchanges that have not been erased, newest first. */
  recentMessages(sinceMs: number, exchanges: number): readonly RecentMessage[] {
    return toRecentMessages(this.#all(RECENT_MESSAGES, sinceMs, exchanges));
  }

  /** Ids of the exchanges that hold a person's words, oldest first. */
  exchangesOf(personKey: string): readonly string[] {
    const theirs = "id IN (SELECT exchange_id FROM exchange_people WHERE person_key = ?)";
    return this.#ids(theirs, personKey);
  }

  /** Ids of the exchanges that are older and have not been erased. */
  exchangesBefore(createdAtMs: number): readonly string[] {
    return this.#ids("created_at_ms < ? AND id NOT IN (SELECT id FROM deletions)", createdAtMs);
  }

  /**
   * Forgets a person: every exchange with their words loses its text, their votes are void, and their
   * key is destroyed, which also closes their comments and every copy of the rest.
   * @returns the exchanges that held their words
   */
  forgetPerson(personKey: string): readonly string[] {
    const exchangeIds = this.exchangesOf(personKey);
    for (const id of exchangeIds) this.recordDeletion(id);
    this.voidVotes(personKey);
    this.#keys.destroy(personKey);
    this.#guard(() => this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
    return exchangeIds;
  }

  /** Every event, in the order of arrival. */
  *events(): Generator<FeedbackEvent> {
    for (const row of this.#all("SELECT * FROM events ORDER BY sequence"))
      yield openEvent(this.#keys, row);
  }

  /** The votes of one person that stand now. */
  standingOf(raterKey: string): readonly StandingVote[] {
    return standingVotes(this.#valid(this.eventsBy(raterKey)));
  }

  /** A person's own events, in the order of arrival. */
  eventsBy(raterKey: string): readonly FeedbackEvent[] {
    const rows = this.#all("SELECT * FROM events WHERE rater_key = ? ORDER BY sequence", raterKey);
    return rows.map((row) => openEvent(this.#keys, row));
  }

  /** The events about one answer, in the order of arrival; of those by one rater, when named. */
  eventsOf(candidateId: string, raterKey?: string): readonly FeedbackEvent[] {
    const rater = raterKey === undefined ? [] : [raterKey];
    const ofRater = raterKey === undefined ? "" : "AND rater_key = ?";
    const sql = `SELECT * FROM events WHERE candidate_id = ? ${ofRater} ORDER BY sequence`;
    return this.#all(sql, candidateId, ...rater).map((row) => openEvent(this.#keys, row));
  }

  /** Every exchange with its answers, in the order of arrival. */
  *exchanges(): Generator<RecordedExchange> {
    const rows = this.#all(
      "SELECT *, id IN (SELECT id FROM deletions) AS deleted FROM exchanges ORDER BY sequence",
    );
    for (const row of rows) yield this.#recorded(row);
  }

  /** One exchange with its answers. */
  exchange(id: string): RecordedExchange | undefined {
    const [row] = this.#all(
      "SELECT *, id IN (SELECT id FROM deletions) AS deleted FROM exchanges WHERE id = ?",
      id,
    );
    return row === undefined ? undefined : this.#recorded(row);
  }

  /** How much there is. */
  counts(): LogCounts {
    const [row] = this.#all(
      `SELECT (SELECT count(*) FROM exchanges) AS exchanges,
              (SELECT count(*) FROM candidates) AS candidates,
              (SELECT count(*) FROM events) AS events`,
    );
    return {
      exchanges: Number(row?.["exchanges"] ?? 0),
      candidates: Number(row?.["candidates"] ?? 0),
      events: Number(row?.["events"] ?? 0),
      standingVotes: this.#countStanding(),
    };
  }

  close(): void {
    this.#database.close();
    this.#keys[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #candidatesOf(exchangeId: string): RecordedExchange["candidates"] {
    const rows = this.#all(
      `SELECT c.*, c.id IN (SELECT id FROM deletions)
            OR EXISTS (SELECT 1 FROM messages m JOIN deletions d ON d.id = m.message_id
                       WHERE m.candidate_id = c.id) AS deleted
       FROM candidates c WHERE exchange_id = ? ORDER BY sequence`,
      exchangeId,
    );
    return rows.map((row) => {
      const candidate = toCandidate(this.#guard(() => openCandidate(this.#keys, row)));
      return { ...candidate, deleted: row["deleted"] === 1 };
    });
  }

  /** Comments are not needed for it, nor the keys that open them. */
  #countStanding(): number {
    const events = this.#all("SELECT *, NULL AS comment FROM events ORDER BY sequence").map(
      toEvent,
    );
    return standingVotes(this.#valid(events)).length;
  }

  #valid(events: Iterable<FeedbackEvent>): Iterable<FeedbackEvent> {
    const rows = this.#all("SELECT * FROM voided_raters");
    return validEvents(events, rows, (id) => String(this.#all(GUILD_OF, id)[0]?.["guild_id"]));
  }

  /** What a destroyed key closes counts as deleted, also in a log that came from a backup. */
  #recorded(row: Record<string, unknown>): RecordedExchange {
    const opened = this.#guard(() => openExchange(this.#keys, row));
    const exchange = toExchange(opened ?? { ...row, messages: "[]" });
    const people = this.#peopleOf(exchange.id);
    return {
      exchange: people.length > 1 ? { ...exchange, participantKeys: people } : exchange,
      candidates: this.#candidatesOf(exchange.id),
      deleted: row["deleted"] === 1 || opened === undefined,
    };
  }

  #peopleOf(exchangeId: string): readonly string[] {
    return this.#all(
      "SELECT person_key FROM exchange_people WHERE exchange_id = ? ORDER BY person_key",
      exchangeId,
    ).map((row) => String(row["person_key"]));
  }

  #findCandidate(where: string, ...values: string[]): CandidateInExchange | undefined {
    const [row] = this.#all(
      `SELECT c.*, c.exchange_id AS exchange FROM candidates c JOIN exchanges e ON e.id = c.exchange_id
       WHERE ${where} ORDER BY c.created_at_ms DESC, c.sequence DESC LIMIT 1`,
      ...values,
    );
    if (row === undefined) return undefined;
    const candidate = toCandidate(this.#guard(() => openCandidate(this.#keys, row)));
    const owner = this.exchange(candidate.exchangeId);
    return owner === undefined ? undefined : { candidate, exchange: owner.exchange };
  }

  #insertExchange(e: Exchange): void {
    for (const personKey of new Set([e.authorKey, ...(e.participantKeys ?? [])])) {
      this.#run("INSERT OR IGNORE INTO exchange_people VALUES (?, ?)", e.id, personKey);
    }
    for (const messageId of e.messageIds ?? []) {
      this.#run("INSERT OR IGNORE INTO exchange_messages VALUES (?, ?)", e.id, messageId);
    }
    const messages = JSON.stringify(e.messages satisfies readonly ChatMessage[]);
    this.#run(
      `INSERT OR IGNORE INTO exchanges (id, source, guild_id, channel_id, thread_id, author_key,
         messages, system_prompt_sha256, created_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      e.id,
      e.source,
      e.guildId,
      e.channelId,
      e.threadId,
      e.authorKey,
      this.#keys.seal(this.#peopleOf(e.id), messages, CONTEXT.exchange(e.id)),
      e.systemPromptSha256,
      e.createdAtMs,
    );
  }

  #insertCandidate(c: Candidate, exchangeId: string): void {
    if (c.exchangeId !== exchangeId) {
      throw new Error(`candidate ${c.id} is of exchange ${c.exchangeId}, not ${exchangeId}`);
    }
    this.#run(
      `INSERT OR IGNORE INTO candidates (id, exchange_id, text, adapter, sampling, finish_reason,
         created_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      c.id,
      c.exchangeId,
      c.text === ""
        ? ""
        : this.#keys.seal(this.#peopleOf(exchangeId), c.text, CONTEXT.candidate(c.id)),
      c.adapter,
      JSON.stringify(c.sampling),
      c.finishReason,
      c.createdAtMs,
    );
  }

  /** Erases what has a tombstone among the exchange or answer of this id, or what this message shows. */
  #erase(id: string): void {
    for (const statement of ERASE) this.#run(statement, id);
  }

  #run(sql: string, ...values: (string | number | null)[]): void {
    this.#prepare(sql).run(...values);
  }

  #ids(where: string, value: string | number): readonly string[] {
    const rows = this.#all(`SELECT id FROM exchanges WHERE ${where} ORDER BY sequence`, value);
    return rows.map((row) => String(row["id"]));
  }

  #all(sql: string, ...values: (string | number)[]): Record<string, unknown>[] {
    return this.#guard(() => this.#prepare(sql).all(...values));
  }

  #write(work: () => void): void {
    this.#guard(() => inTransaction(this.#database, work));
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw explainDatabaseError(error, this.#path);
    }
  }
}
