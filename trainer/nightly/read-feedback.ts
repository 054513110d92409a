/**
 * What of the feedback log a night learns from: the newest rated answers that may be learnt from, up to a limit, so that
 * a night's memory and time have a bound however long the log has become. It knows nothing of pairs.
 */
import type { Config } from "#engine/base/config.ts";
import { ConsentBook, learningRefusal } from "../feedback/consent.ts";
import { FeedbackLog, type RatedExchange } from "../feedback/log.ts";
import type { RecordedExchange } from "../feedback/recorded.ts";
import type { StandingVote } from "../feedback/records.ts";
import type { Feedback } from "../pairs/answers.ts";
import type { DropReason } from "../pairs/pair.ts";

/**
 * Reads the log, newest exchange first, with who may be learnt from. What may not, and what is beyond
 * TRAIN_MAX_ANSWERS, is counted without being opened.
 * @throws CodedError `database_failed`
 */
export function readFeedback(config: Config, nowMs: number): Feedback {
  using log = FeedbackLog.openIn(config);
  using book = ConsentBook.openIfThere(config.DATA_DIR);
  const unsure = log.hearing.unsure(nowMs);
  const whyLeft = ({ about, deleted }: RatedExchange): DropReason | undefined => {
    if (deleted) return "deleted";
    if (unsure.has(about.id)) return "not_caught_up";
    const { source, guildId, authorKey, participantKeys = [] } = about;
    const personKeys = [authorKey, ...participantKeys];
    return learningRefusal(book, config, { source, guildId, personKeys });
  };
  const exchanges: RecordedExchange[] = [];
  const votes: StandingVote[] = [];
  const left: Partial<Record<DropReason, number>> = {};
  let answers = 0;
  for (const exchange of log.rated()) {
    const rated = new Set(exchange.votes.map(({ candidateId }) => candidateId)).size;
    const isFull = answers >= config.TRAIN_MAX_ANSWERS;
    const reason = whyLeft(exchange) ?? (isFull ? "enough_newer" : undefined);
    const opened = reason === undefined ? exchange.open() : undefined;
    if (opened === undefined || opened.deleted) {
      const why = reason ?? "deleted";
      if (rated > 0) left[why] = (left[why] ?? 0) + rated;
      continue;
    }
    exchanges.push(opened);
    votes.push(...exchange.votes);
    answers += rated;
  }
  return {
    exchanges: exchanges.reverse(),
    votes,
    unsure,
    left,
    refusal: refusalOf(book, config, votes, exchanges),
  };
}

/** Read now: the book is closed when the pairs are made. */
function refusalOf(
  book: ConsentBook,
  config: Config,
  votes: readonly StandingVote[],
  exchanges: readonly RecordedExchange[],
): Feedback["refusal"] {
  const people = new Set([
    ...exchanges.flatMap(({ exchange }) => [
      exchange.authorKey,
      ...(exchange.participantKeys ?? []),
    ]),
    ...votes.map(({ raterKey }) => raterKey),
  ]);
  const guilds = new Set(exchanges.flatMap(({ exchange }) => exchange.guildId ?? []));
  const said = new Map([...people].map((key) => [key, book.person(key)]));
  const switched = new Map([...guilds].map((id) => [id, book.guild(id)]));
  const answers = {
    person: (key: string) => said.get(key),
    guild: (id: string) => switched.get(id),
  };
  return (from) => learningRefusal(answers, config, from);
}
