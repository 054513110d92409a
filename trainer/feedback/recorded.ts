/** Exchanges and answers as they are read back from the log: opened, with their people and tombstones. */
import type { LogDatabase } from "./log-database.ts";
import type { Candidate, Exchange } from "./records.ts";
import { toCandidate, toExchange } from "./schema.ts";
import { openCandidate, openExchange } from "./sealed-rows.ts";

/** An exchange with its answers, oldest first. Deleted ones have lost their text. */
export type RecordedExchange = {
  readonly exchange: Exchange;
  readonly candidates: readonly (Candidate & { readonly deleted: boolean })[];
  readonly deleted: boolean;
};

/** What is known of an exchange without opening anything of it. */
export type ClosedExchange = {
  readonly about: Omit<Exchange, "messages">;
  /** It has a tombstone; that a key of it was destroyed shows only when it is opened. */
  readonly deleted: boolean;
  readonly open: () => RecordedExchange;
};

/** An answer and the exchange that it belongs to. */
export type CandidateInExchange = { readonly candidate: Candidate; readonly exchange: Exchange };

const EXCHANGES = "SELECT *, id IN (SELECT id FROM deletions) AS deleted FROM exchanges";

/** Rows that are in memory at once. */
const PAGE = 256;

/** Every exchange, in the order of arrival. */
export function* readExchanges(log: LogDatabase): Generator<RecordedExchange> {
  const page = `${EXCHANGES} WHERE sequence > ? ORDER BY sequence LIMIT ${PAGE}`;
  for (const row of pages(log, page, 0)) yield recorded(log, row);
}

/** The exchanges that somebody gave feedback on, the newest first; only those that are asked for are opened. */
export function* readRated(log: LogDatabase): Generator<ClosedExchange> {
  const page = `${EXCHANGES} WHERE sequence < ? AND EXISTS (
      SELECT 1 FROM candidates c JOIN events v ON v.candidate_id = c.id
      WHERE c.exchange_id = exchanges.id)
    ORDER BY sequence DESC LIMIT ${PAGE}`;
  for (const row of pages(log, page, Number.MAX_SAFE_INTEGER)) yield closed(log, row);
}

/** Rows of a question that goes on behind a sequence number, asked again for each page: no reader is held open. */
function* pages(log: LogDatabase, sql: string, start: number): Generator<Record<string, unknown>> {
  for (let [behind, isOver] = [start, false]; !isOver; ) {
    const rows = log.all(sql, behind);
    yield* rows;
    isOver = rows.length < PAGE;
    behind = Number(rows.at(-1)?.["sequence"]);
  }
}

/** One exchange. */
export function readExchange(log: LogDatabase, id: string): RecordedExchange | undefined {
  const [row] = log.all(`${EXCHANGES} WHERE id = ?`, id);
  return row === undefined ? undefined : recorded(log, row);
}

/** The newest answer of those that `where` names: `c` is the answer's row, `e` its exchange's. */
export function readCandidate(
  log: LogDatabase,
  where: string,
  ...values: string[]
): CandidateInExchange | undefined {
  const [row] = log.all(
    `SELECT c.*, c.exchange_id AS exchange FROM candidates c JOIN exchanges e ON e.id = c.exchange_id
     WHERE ${where} ORDER BY c.created_at_ms DESC, c.sequence DESC LIMIT 1`,
    ...values,
  );
  if (row === undefined) return undefined;
  const candidate = toCandidate(log.guard(() => openCandidate(log.keys, row)));
  const owner = readExchange(log, candidate.exchangeId);
  return owner === undefined ? undefined : { candidate, exchange: owner.exchange };
}

/** Keys of the people whose words an exchange holds. */
export function peopleOf(log: LogDatabase, exchangeId: string): readonly string[] {
  return log
    .all(
      "SELECT person_key FROM exchange_people WHERE exchange_id = ? ORDER BY person_key",
      exchangeId,
    )
    .map((row) => String(row["person_key"]));
}

function closed(log: LogDatabase, row: Record<string, unknown>): ClosedExchange {
  const { messages: _, ...exchange } = toExchange({ ...row, messages: "[]" });
  return {
    about: { ...exchange, ...participantsIn(log, exchange.id) },
    deleted: row["deleted"] === 1,
    open: () => recorded(log, row),
  };
}

/** What a destroyed key closes counts as deleted, also in a log that came from a backup. */
function recorded(log: LogDatabase, row: Record<string, unknown>): RecordedExchange {
  const opened = log.guard(() => openExchange(log.keys, row));
  const exchange = toExchange(opened ?? { ...row, messages: "[]" });
  return {
    exchange: { ...exchange, ...participantsIn(log, exchange.id) },
    candidates: candidatesOf(log, exchange.id),
    deleted: row["deleted"] === 1 || opened === undefined,
  };
}

function participantsIn(log: LogDatabase, exchangeId: string): Pick<Exchange, "participantKeys"> {
  const people = peopleOf(log, exchangeId);
  return people.length > 1 ? { participantKeys: people } : {};
}

function candidatesOf(log: LogDatabase, exchangeId: string): RecordedExchange["candidates"] {
  const rows = log.all(
    `SELECT c.*, c.id IN (SELECT id FROM deletions)
          OR EXISTS (SELECT 1 FROM messages m JOIN deletions d ON d.id = m.message_id
                     WHERE m.candidate_id = c.id) AS deleted
     FROM candidates c WHERE exchange_id = ? ORDER BY sequence`,
    exchangeId,
  );
  return rows.map((row) => {
    const candidate = toCandidate(log.guard(() => openCandidate(log.keys, row)));
    return { ...candidate, deleted: row["deleted"] === 1 };
  });
}
