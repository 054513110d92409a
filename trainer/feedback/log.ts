/**
 * The feedback log: exchanges, their answers, and append-only events of feedback, in SQLite.
 * Events are never changed or removed; which votes stand is derived (records.ts). Deleted messages
 * leave a tombstone, and their text is erased at once. It knows nothing of training.
 */
import { join } from "node:path";
import type { ChatMessage } from "#engine/backends/backend.ts";
import { type Clock, systemClock } from "#engine/base/clock.ts";
import {
  type Database,
  explainDatabaseError,
  inTransaction,
  openDatabase,
} from "#engine/base/database.ts";
import { CodedError } from "#engine/base/errors.ts";
import {
  type Candidate,
  type Exchange,
  eventProblem,
  type FeedbackEvent,
  type StandingVote,
  standingVotes,
} from "./records.ts";
import { MIGRATIONS, toCandidate, toEvent, toExchange } from "./schema.ts";

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
  readonly #path: string;
  readonly #clock: Clock;

  private constructor(database: Database, path: string, clock: Clock) {
    this.#database = database;
    this.#path = path;
    this.#clock = clock;
  }

  /**
   * Opens or creates the log at `path` (see `feedbackPath`).
   * @throws CodedError `database_failed`, `disk_full`
   */
  static open(path: string, clock: Clock = systemClock): FeedbackLog {
    const database = openDatabase(path, MIGRATIONS);
    database.exec("PRAGMA secure_delete = ON");
    return new FeedbackLog(database, path, clock);
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
      const { changes } = this.#database
        .prepare(
          `INSERT INTO events (id, candidate_id, rater_key, kind, value, comment, action, at_ms)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(id, candidateId, raterKey, kind, value, comment ?? null, action, atMs);
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

  /** The votes that stand now, one a person, answer and kind. */
  standing(): readonly StandingVote[] {
    return standingVotes(this.events());
  }

  /** Every event, in the order of arrival. */
  *events(): Generator<FeedbackEvent> {
    for (const row of this.#all("SELECT * FROM events ORDER BY sequence")) yield toEvent(row);
  }

  /** The events about one answer, in the order of arrival; of those by one rater, when named. */
  eventsOf(candidateId: string, raterKey?: string): readonly FeedbackEvent[] {
    const rows =
      raterKey === undefined
        ? this.#all("SELECT * FROM events WHERE candidate_id = ? ORDER BY sequence", candidateId)
        : this.#all(
            "SELECT * FROM events WHERE candidate_id = ? AND rater_key = ? ORDER BY sequence",
            candidateId,
            raterKey,
          );
    return rows.map(toEvent);
  }

  /** Every exchange with its answers, in the order of arrival. */
  *exchanges(): Generator<RecordedExchange> {
    const rows = this.#all(
      "SELECT *, id IN (SELECT id FROM deletions) AS deleted FROM exchanges ORDER BY sequence",
    );
    for (const row of rows) {
      const exchange = toExchange(row);
      yield {
        exchange,
        candidates: this.#candidatesOf(exchange.id),
        deleted: row["deleted"] === 1,
      };
    }
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
      standingVotes: this.standing().length,
    };
  }

  close(): void {
    this.#database.close();
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
    return rows.map((row) => ({ ...toCandidate(row), deleted: row["deleted"] === 1 }));
  }

  #findCandidate(where: string, ...values: string[]): CandidateInExchange | undefined {
    const [row] = this.#all(
      `SELECT c.*, c.exchange_id AS exchange FROM candidates c JOIN exchanges e ON e.id = c.exchange_id
       WHERE ${where} ORDER BY c.created_at_ms DESC, c.sequence DESC LIMIT 1`,
      ...values,
    );
    if (row === undefined) return undefined;
    const candidate = toCandidate(row);
    const [owner] = this.#all("SELECT * FROM exchanges WHERE id = ?", candidate.exchangeId);
    return owner === undefined ? undefined : { candidate, exchange: toExchange(owner) };
  }

  #insertExchange(e: Exchange): void {
    this.#run(
      `INSERT OR IGNORE INTO exchanges (id, source, guild_id, channel_id, thread_id, author_key,
         messages, system_prompt_sha256, created_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      e.id,
      e.source,
      e.guildId,
      e.channelId,
      e.threadId,
      e.authorKey,
      JSON.stringify(e.messages satisfies readonly ChatMessage[]),
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
      c.text,
      c.adapter,
      JSON.stringify(c.sampling),
      c.finishReason,
      c.createdAtMs,
    );
  }

  /** Erases what has a tombstone among the exchange or answer of this id, or what this message shows. */
  #erase(id: string): void {
    this.#run(
      `UPDATE exchanges SET messages = '[]'
       WHERE id = ? AND id IN (SELECT id FROM deletions)`,
      id,
    );
    this.#run(
      `UPDATE candidates SET text = ''
       WHERE (id = ?1 OR exchange_id = ?1
              OR id IN (SELECT candidate_id FROM messages WHERE message_id = ?1))
         AND (id IN (SELECT id FROM deletions) OR exchange_id IN (SELECT id FROM deletions)
              OR EXISTS (SELECT 1 FROM messages m JOIN deletions d ON d.id = m.message_id
                         WHERE m.candidate_id = candidates.id))`,
      id,
    );
  }

  #run(sql: string, ...values: (string | number | null)[]): void {
    this.#database.prepare(sql).run(...values);
  }

  #all(sql: string, ...values: string[]): Record<string, unknown>[] {
    return this.#guard(() => this.#database.prepare(sql).all(...values));
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
