/** How an exchange, an answer and an act of feedback are written into the log, sealed; within a transaction of the caller's. */
import type { ChatMessage } from "#engine/backends/backend.ts";
import type { LogDatabase } from "./log-database.ts";
import { peopleOf } from "./recorded.ts";
import type { Candidate, Exchange, FeedbackEvent } from "./records.ts";
import { ERASE } from "./schema.ts";
import { CONTEXT } from "./sealed-rows.ts";

/** Writes an exchange, or what is new of it. */
export function insertExchange(log: LogDatabase, e: Exchange): void {
  for (const personKey of new Set([e.authorKey, ...(e.participantKeys ?? [])])) {
    log.run("INSERT OR IGNORE INTO exchange_people VALUES (?, ?)", e.id, personKey);
  }
  for (const messageId of e.messageIds ?? []) {
    log.run("INSERT OR IGNORE INTO exchange_messages VALUES (?, ?)", e.id, messageId);
  }
  const messages = JSON.stringify(e.messages satisfies readonly ChatMessage[]);
  log.run(
    `INSERT OR IGNORE INTO exchanges (id, source, guild_id, channel_id, thread_id, author_key,
       messages, system_prompt_sha256, created_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    e.id,
    e.source,
    e.guildId,
    e.channelId,
    e.threadId,
    e.authorKey,
    log.keys.seal(peopleOf(log, e.id), messages, CONTEXT.exchange(e.id)),
    e.systemPromptSha256,
    e.createdAtMs,
  );
}

/** Writes an answer of that exchange. */
export function insertCandidate(log: LogDatabase, c: Candidate, exchangeId: string): void {
  if (c.exchangeId !== exchangeId) {
    throw new Error(`candidate ${c.id} is of exchange ${c.exchangeId}, not ${exchangeId}`);
  }
  log.run(
    `INSERT OR IGNORE INTO candidates (id, exchange_id, text, adapter, sampling, finish_reason,
       created_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    c.id,
    c.exchangeId,
    c.text === "" ? "" : log.keys.seal(peopleOf(log, exchangeId), c.text, CONTEXT.candidate(c.id)),
    c.adapter,
    JSON.stringify(c.sampling),
    c.finishReason,
    c.createdAtMs,
  );
}

/** Writes an act of feedback; false when it stood there already. */
export function insertEvent(log: LogDatabase, event: FeedbackEvent): boolean {
  const { id, candidateId, raterKey, kind, value, comment, action, atMs } = event;
  const changes = log.run(
    `INSERT INTO events (id, candidate_id, rater_key, kind, value, comment, action, at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[id, candidateId, raterKey, kind, value],
    comment === undefined ? null : log.keys.seal([raterKey], comment, CONTEXT.comment(id)),
    ...[action, atMs],
  );
  return changes > 0;
}

/** Erases what has a tombstone among the exchange or answer of this id, or what this message shows. */
export function erase(log: LogDatabase, id: string): void {
  for (const statement of ERASE) log.run(statement, id);
}
