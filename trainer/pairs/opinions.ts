/**
 * Votes and ratings on one scale of points, so that they can be compared. Pure.
 * It knows nothing of prompts or answers.
 */
import { isRating, type StandingVote } from "#trainer/feedback/records.ts";

/** What one person thinks of one answer. */
export type Opinion = {
  readonly candidateId: string;
  readonly raterKey: string;
  /** Around 0: a thumb is ±1, a rating is its distance from the person's own mean. */
  readonly points: number;
  /** When the first of the votes behind it was made. */
  readonly atMs: number;
};

/** 👍 against 👎 is then two points: the least that counts as a preference, as for ratings. */
const THUMB_POINTS = 1;
/** A rater's mean is drawn to the middle of the scale as if by this many ratings of 3. */
const PRIOR_RATINGS = 2;
const MIDDLE = 3;

/**
 * One opinion for each person and answer. Ratings are centred per rater, so that a mild and a strict
 * person count alike; where somebody both reacted and rated, the mean of the two counts.
 */
export function opinionsOf(votes: readonly StandingVote[]): readonly Opinion[] {
  const centres = ratingCentres(votes);
  const said = votes.filter(isRating);
  const byPair = Map.groupBy(said, (vote) => JSON.stringify([vote.candidateId, vote.raterKey]));
  return [...byPair.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const points = group.map((vote) =>
      vote.kind === "rate"
        ? vote.value - (centres.get(vote.raterKey) ?? MIDDLE)
        : vote.value * THUMB_POINTS,
    );
    const { candidateId, raterKey } = first;
    const atMs = Math.min(...group.map((vote) => vote.atMs));
    return [{ candidateId, raterKey, points: mean(points), atMs }];
  });
}

function ratingCentres(votes: readonly StandingVote[]): ReadonlyMap<string, number> {
  const ratings = Map.groupBy(
    votes.filter((vote) => vote.kind === "rate"),
    (vote) => vote.raterKey,
  );
  return new Map(
    [...ratings].map(([rater, given]) => {
      const sum = given.reduce((total, vote) => total + vote.value, MIDDLE * PRIOR_RATINGS);
      return [rater, sum / (given.length + PRIOR_RATINGS)];
    }),
  );
}

/** Arithmetic mean; 0 of nothing. */
export function mean(values: readonly number[]): number {
  if (values.length === 0) return 0;
  return values.reduce((total, value) => total + value, 0) / values.length;
}
