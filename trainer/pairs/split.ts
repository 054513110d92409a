/**
 * Sets pairs aside for the gate, by person and by time. Pure. An adapter is then judged by people whom it
 * did not learn from, and by what was asked after it learnt; and a prompt lies wholly on one side.
 */
import { type EvidencedPair, sha256 } from "./pair.ts";

/** Of the pairs. */
const HELD_OUT_SHARE = 0.2;
/** Of the held-out pairs at most, and of the people: a person is held out by the hash of their key, for good. */
const PEOPLE_SHARE = 0.5;
/** With fewer, even a perfect score proves nothing: 4 of 4 has a lower Wilson bound just above ½. */
export const HELD_OUT_MIN_PAIRS = 4;

/** Pairs to train on and pairs to judge by. */
export type Split = {
  readonly train: readonly EvidencedPair[];
  readonly heldOut: readonly EvidencedPair[];
};

/**
 * Holds out a fifth of the pairs, and at least four: first the prompts of a tenth of the people, the same ones every
 * night, unless one of them has a hand in more than a tenth of the pairs; then the newest prompts. A prompt is as
 * new as the first vote on it: one that was trained on does not become new by another vote.
 */
export function splitPairs(pairs: readonly EvidencedPair[]): Split {
  const byPrompt = Map.groupBy(pairs, ({ promptKey }) => promptKey);
  const wanted = Math.max(HELD_OUT_MIN_PAIRS, Math.round(HELD_OUT_SHARE * pairs.length));
  const heldOut = promptsOfPeople(byPrompt, PEOPLE_SHARE * wanted);
  let count = countPairs(byPrompt, heldOut);
  for (const [key, group] of newestFirst(byPrompt)) {
    if (count >= wanted) break;
    if (heldOut.has(key)) continue;
    heldOut.add(key);
    count += group.length;
  }
  return {
    train: pairs.filter(({ promptKey }) => !heldOut.has(promptKey)),
    heldOut: pairs.filter(({ promptKey }) => heldOut.has(promptKey)),
  };
}

/**
 * What may be learnt beside the pairs: nothing about a held-out prompt, and nothing from people who are in
 * held-out pairs alone, so that they stay strangers to the adapter.
 */
export function beside<T extends Pick<EvidencedPair, "promptKey" | "evidence">>(
  items: readonly T[],
  { train, heldOut }: Split,
): readonly T[] {
  const prompts = new Set(heldOut.map(({ promptKey }) => promptKey));
  const judges = ratersOf(heldOut);
  const teachers = ratersOf(train);
  const isStranger = (rater: string) => judges.has(rater) && !teachers.has(rater);
  return items.filter(
    ({ promptKey, evidence }) => !prompts.has(promptKey) && !evidence.raterKeys.some(isStranger),
  );
}

/** Held-out pairs all of whose raters are unknown to the training side, which `teachers` decided. */
export function fromUnseenRaters(
  heldOut: readonly EvidencedPair[],
  teachers: ReadonlySet<string>,
): readonly EvidencedPair[] {
  return heldOut.filter(({ evidence }) => !evidence.raterKeys.some((rater) => teachers.has(rater)));
}

/** Who decided these pairs. */
export function ratersOf(pairs: Iterable<Pick<EvidencedPair, "evidence">>): ReadonlySet<string> {
  const raters = new Set<string>();
  for (const { evidence } of pairs) for (const rater of evidence.raterKeys) raters.add(rater);
  return raters;
}

type ByPrompt = ReadonlyMap<string, readonly EvidencedPair[]>;

/** Every prompt that a held-out person has a hand in, as long as they give no more than `most` pairs. */
function promptsOfPeople(byPrompt: ByPrompt, most: number): Set<string> {
  const promptsOf = new Map<string, Set<string>>();
  for (const [key, group] of byPrompt) {
    for (const rater of group.flatMap(({ evidence }) => evidence.raterKeys)) {
      const known = promptsOf.get(rater) ?? new Set();
      promptsOf.set(rater, known.add(key));
    }
  }
  const heldOut = new Set<string>();
  const people = [...promptsOf]
    .map(([rater, prompts]) => ({ place: placeOf(rater), prompts }))
    .filter(({ place }) => place < HELD_OUT_SHARE * PEOPLE_SHARE)
    .sort((a, b) => a.place - b.place);
  for (const { prompts } of people) {
    const grown = new Set([...heldOut, ...prompts]);
    if (countPairs(byPrompt, grown) <= most) for (const key of grown) heldOut.add(key);
  }
  return heldOut;
}

/** Ties go by the key's hash, so that the order of the pairs does not matter. */
function newestFirst(byPrompt: ByPrompt): (readonly [string, readonly EvidencedPair[]])[] {
  const firstVoteMs = (group: readonly EvidencedPair[]) =>
    group.reduce((first, { votedAtMs }) => Math.min(first, votedAtMs), Number.POSITIVE_INFINITY);
  return [...byPrompt].sort(
    ([a, left], [b, right]) => firstVoteMs(right) - firstVoteMs(left) || placeOf(a) - placeOf(b),
  );
}

function countPairs(byPrompt: ByPrompt, keys: ReadonlySet<string>): number {
  return [...keys].reduce((sum, key) => sum + (byPrompt.get(key)?.length ?? 0), 0);
}

/** [0, 1), evenly spread; another hash than the key's own so that it stays so if keys change. */
function placeOf(key: string): number {
  return Number.parseInt(sha256(`split ${key}`).slice(0, 8), 16) / 2 ** 32;
}
