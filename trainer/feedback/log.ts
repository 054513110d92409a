/**
 * The feedback log: exchanges, their answers, and append-only events of feedback, in SQLite.
 * Events are never changed or removed; which votes stand is derived (records.ts). Deleted messages
 * leave a tombstone, and their text is erased at once. Text is sealed for the people whose words it is
 * (key-ring.ts), whoever reads or writes it. It knows nothing of training.
 */
import { join } from "node:path";
import { type Clock, systemClock } from "#engine/base/clock.ts";
import { CodedError } from "#engine/base/errors.ts";
import { Hearing } from "./hearing.ts";
import { KeyRing, type KeySettings } from "./key-ring.ts";
import { LogDatabase } from "./log-database.ts";
import {
  type CandidateInExchange,
  type ClosedExchange,
  type RecordedExchange,
  readCandidate,
  readExchange,
  readExchanges,
  readRated,
} from "./recorded.ts";
import { erase, insertCandidate, insertEvent, insertExchange } from "./recording.ts";
import {
  type Candidate,
  type Exchange,
  eventProblem,
  type FeedbackEvent,
  isRating,
  type StandingVote,
  standingVotes,
} from "./records.ts";
import { GUILD_OF, HOLDS, toEvent, VOID, VOID_UNTIL, VOTES_ON } from "./schema.ts";
import { openEvent } from "./sealed-rows.ts";
import { validity } from "./voided.ts";

/** How much the log holds. */
export type LogCounts = {
  readonly exchanges: number;
  readonly candidates: number;
  readonly events: number;
  /** Thumbs and stars that stand; not reports, nor requests for another answer. */
  readonly standingRatings: number;
};

/** An exchange, yet to be opened, and the votes that stand on its answers, without what people wrote to them. */
export type RatedExchange = ClosedExchange & { readonly votes: readonly StandingVote[] };

/** Where the log lies in a data folder. */
export function feedbackPath(dataDir: string): string {
  return join(dataDir, "feedback.db");
}

/** The log. Every method throws CodedError `disk_full` or `database_failed` when SQLite cannot. */
export class FeedbackLog implements Disposable {
  /** How far the log is up to date with Discord. */
  readonly hearing: Hearing;
  readonly #log: LogDatabase;
  readonly #clock: Clock;

  private constructor(log: LogDatabase, clock: Clock) {
    this.hearing = new Hearing(log);
    this.#log = log;
    this.#clock = clock;
  }

  /**
   * Opens or creates the log at `path` (see `feedbackPath`), and seals what is in the clear there.
   * @param keys the log's own from then on; those of its folder when left out
   * @throws CodedError `database_failed`, `disk_full`, `config_invalid`
   */
  static open(path: string, clock: Clock = systemClock, keys?: KeyRing): FeedbackLog {
    return new FeedbackLog(new LogDatabase(path, keys ?? KeyRing.beside(path)), clock);
  }

  /** Opens the log of a data folder, with the keys that the settings name. @throws CodedError as `open` */
  static openIn(settings: KeySettings, clock: Clock = systemClock): FeedbackLog {
    return FeedbackLog.open(feedbackPath(settings.DATA_DIR), clock, KeyRing.open(settings));
  }

  /** Records a question and its answers. Repeating it changes nothing; more answers may follow later. */
  recordExchange(exchange: Exchange, candidates: readonly Candidate[]): void {
    this.#log.write(() => {
      insertExchange(this.#log, exchange);
      for (const candidate of candidates) insertCandidate(this.#log, candidate, exchange.id);
      erase(this.#log, exchange.id);
    });
  }

  /** Notes that a message shows (a part of) this answer. */
  recordMessage(messageId: string, candidateId: string): void {
    this.#log.write(() => {
      this.#log.run("INSERT OR IGNORE INTO messages VALUES (?, ?)", messageId, candidateId);
      erase(this.#log, messageId);
    });
  }

  /**
   * Records one act of feedback; the answer it is about may be recorded later.
   * @throws CodedError `invalid_request` when the value does not fit the kind
   */
  record(event: FeedbackEvent): "recorded" | "duplicate" {
    const problem = eventProblem(event);
    if (problem !== undefined) throw new CodedError(problem, { code: "invalid_request" });
    const isNew = this.#log.guard(() => insertEvent(this.#log, event));
    return isNew ? "recorded" : "duplicate";
  }

  /**
   * Notes that something is gone and erases its text: a message that showed an answer, an answer
   * or a whole exchange. May arrive before what it deletes is recorded.
   */
  recordDeletion(id: string, atMs: number = this.#clock.nowMs()): void {
    this.#log.write(() => {
      this.#log.run("INSERT OR IGNORE INTO deletions VALUES (?, ?)", id, atMs);
      erase(this.#log, id);
    });
  }

  /** The answer that a message shows. */
  candidateOfMessage(messageId: string): CandidateInExchange | undefined {
    return readCandidate(
      this.#log,
      "c.id = (SELECT candidate_id FROM messages WHERE message_id = ?)",
      messageId,
    );
  }

  /** An answer by its id. */
  candidate(candidateId: string): CandidateInExchange | undefined {
    return readCandidate(this.#log, "c.id = ?", candidateId);
  }

  /** The last answer in a channel or thread; of those to one asker, when named. */
  lastCandidate(channelId: string, authorKey?: string): CandidateInExchange | undefined {
    const inChannel = "(e.channel_id = ? OR e.thread_id = ?)";
    return authorKey === undefined
      ? readCandidate(this.#log, inChannel, channelId, channelId)
      : readCandidate(
          this.#log,
          `${inChannel} AND e.author_key = ?`,
          channelId,
          channelId,
          authorKey,
        );
  }

  /** The votes that stand now, one a person, answer and kind; voided ones do not. */
  standing(): readonly StandingVote[] {
    return standingVotes(this.events().filter(this.#validity()));
  }

  /**
   * Voids every vote that a person has given so far, or until then: after a ban from a server, or everywhere
   * when they want to be forgotten.
   */
  voidVotes(raterKey: string, guildId?: string, untilMs: number = this.#clock.nowMs()): void {
    this.#log.write(() => this.#log.run(VOID, raterKey, guildId ?? "", untilMs));
  }

  /** Until when a person's votes are void where an answer was given; undefined where none are. */
  voidUntilMs(raterKey: string, candidateId: string): number | undefined {
    const [found] = this.#log.all(VOID_UNTIL, raterKey, candidateId);
    const untilMs = found?.["until_ms"];
    return typeof untilMs === "number" ? untilMs : undefined;
  }

  /** Whether a Discord message's text is in some exchange. */
  holdsMessage(messageId: string): boolean {
    return this.#log.all(HOLDS, messageId).length > 0;
  }

  /** The messages whose text an exchange holds, and those that show its answers. */
  messagesOf(exchangeId: string): readonly string[] {
    const sql = `SELECT message_id FROM exchange_messages WHERE exchange_id = ?1
      UNION SELECT m.message_id FROM candidates c JOIN messages m ON m.candidate_id = c.id
      WHERE c.exchange_id = ?1`;
    return this.#log.all(sql, exchangeId).map((row) => String(row["message_id"]));
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
    this.#log.keys.destroy(personKey);
    this.#log.truncate();
    return exchangeIds;
  }

  /** Every event, in the order of arrival. */
  *events(): Generator<FeedbackEvent> {
    for (const row of this.#log.all("SELECT * FROM events ORDER BY sequence"))
      yield openEvent(this.#log.keys, row);
  }

  /** The votes of one person that stand now. */
  standingOf(raterKey: string): readonly StandingVote[] {
    return standingVotes(this.eventsBy(raterKey).filter(this.#validity()));
  }

  /** A person's own events, in the order of arrival. */
  eventsBy(raterKey: string): readonly FeedbackEvent[] {
    const rows = this.#log.all(
      "SELECT * FROM events WHERE rater_key = ? ORDER BY sequence",
      raterKey,
    );
    return rows.map((row) => openEvent(this.#log.keys, row));
  }

  /** The events about one answer, in the order of arrival; of those by one rater, when named. */
  eventsOf(candidateId: string, raterKey?: string): readonly FeedbackEvent[] {
    const rater = raterKey === undefined ? [] : [raterKey];
    const ofRater = raterKey === undefined ? "" : "AND rater_key = ?";
    const sql = `SELECT * FROM events WHERE candidate_id = ? ${ofRater} ORDER BY sequence`;
    return this.#log.all(sql, candidateId, ...rater).map((row) => openEvent(this.#log.keys, row));
  }

  /** Every exchange with its answers, in the order of arrival. */
  exchanges(): Iterable<RecordedExchange> {
    return readExchanges(this.#log);
  }

  /** The exchanges that somebody gave feedback on, with the votes that stand now, the newest first, one at a time. */
  *rated(): Generator<RatedExchange> {
    const isValid = this.#validity();
    for (const exchange of readRated(this.#log)) {
      const rows = this.#log.all(VOTES_ON, exchange.about.id);
      yield { ...exchange, votes: standingVotes(rows.map(toEvent).filter(isValid)) };
    }
  }

  /** One exchange with its answers. */
  exchange(id: string): RecordedExchange | undefined {
    return readExchange(this.#log, id);
  }

  /** How much there is. */
  counts(): LogCounts {
    const [row] = this.#log.all(
      `SELECT (SELECT count(*) FROM exchanges) AS exchanges,
              (SELECT count(*) FROM candidates) AS candidates,
              (SELECT count(*) FROM events) AS events`,
    );
    return {
      exchanges: Number(row?.["exchanges"] ?? 0),
      candidates: Number(row?.["candidates"] ?? 0),
      events: Number(row?.["events"] ?? 0),
      standingRatings: this.#countRatings(),
    };
  }

  close(): void {
    this.#log[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Comments are not needed for it, nor the keys that open them. */
  #countRatings(): number {
    const events = this.#log
      .all("SELECT *, NULL AS comment FROM events ORDER BY sequence")
      .map(toEvent);
    return standingVotes(events.filter(this.#validity())).filter(isRating).length;
  }

  /** By the votes that are void now. */
  #validity(): (event: FeedbackEvent) => boolean {
    const rows = this.#log.all("SELECT * FROM voided_raters");
    return validity(rows, (id) => String(this.#log.all(GUILD_OF, id)[0]?.["guild_id"]));
  }

  #ids(where: string, value: string | number): readonly string[] {
    const rows = this.#log.all(`SELECT id FROM exchanges WHERE ${where} ORDER BY sequence`, value);
    return rows.map((row) => String(row["id"]));
  }
}
