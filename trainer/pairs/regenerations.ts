/**
 * Asking for another answer, as an opinion: it says something only together with what the same person
 * thinks of the answer that came instead. Pure.
 */
import type { RecordedExchange } from "#trainer/feedback/recorded.ts";
import type { StandingVote } from "#trainer/feedback/records.ts";

/** A rating from which an answer counts as approved. */
const APPROVING_STARS = 4;

/**
 * The votes, with a 👎 for each answer that a person had replaced and then approved another one to the
 * same question; unless they have said themselves what they think of the first.
 */
export function withRegenerations(
  votes: readonly StandingVote[],
  exchanges: readonly RecordedExchange[],
): readonly StandingVote[] {
  const exchangeOf = new Map(
    exchanges.flatMap(({ exchange, candidates }) =>
      candidates.map(({ id }) => [id, exchange.id] as const),
    ),
  );
  const place = (vote: StandingVote) =>
    JSON.stringify([exchangeOf.get(vote.candidateId), vote.raterKey]);
  const approvals = Map.groupBy(votes.filter(isApproval), place);
  const opined = new Set(votes.filter(isOpinion).map(answerAndRater));
  return votes.flatMap((vote) => {
    if (vote.kind !== "regenerate") return [vote];
    const isReplaced = (approvals.get(place(vote)) ?? []).some(
      ({ candidateId }) => candidateId !== vote.candidateId,
    );
    const counts = isReplaced && !opined.has(answerAndRater(vote));
    return counts ? [{ ...vote, kind: "vote", value: -1 }] : [];
  });
}

function isOpinion({ kind }: StandingVote): boolean {
  return kind === "reaction" || kind === "vote" || kind === "rate";
}

function isApproval(vote: StandingVote): boolean {
  return isOpinion(vote) && vote.value >= (vote.kind === "rate" ? APPROVING_STARS : 1);
}

function answerAndRater(vote: StandingVote): string {
  return JSON.stringify([vote.candidateId, vote.raterKey]);
}
