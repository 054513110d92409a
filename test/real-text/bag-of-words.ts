/**
 * The baseline that any preference model has to beat: logistic regression on which words the better answer has more
 * of. Pure; it sees the answers, not the prompts.
 */
import type { PreferencePair } from "#trainer/data/preference.ts";

/** Weight of each known word. */
export type WordWeights = ReadonlyMap<string, number>;

type Answers = Pick<PreferencePair, "chosen" | "rejected">;

/** Words that fewer pairs than this differ in are left out. */
const PAIRS_LEAST = 3;
const ROUNDS = 400;
const STEP = 0.3;

/**
 * Fits the weights by gradient descent on −log σ(w · (words of chosen − words of rejected)), averaged, + λ/2 |w|²
 * (Bradley–Terry; without an intercept, since a pair has no order).
 * @param l2 λ, above 0
 */
export function fitWords(pairs: readonly Answers[], l2: number): WordWeights {
  const rows = pairs.map(differences);
  const counts = new Map<string, number>();
  for (const row of rows) {
    for (const word of row.keys()) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const weights = new Map(
    [...counts].filter(([, count]) => count >= PAIRS_LEAST).map(([word]) => [word, 0]),
  );
  for (let round = 0; round < ROUNDS; round++) descend(weights, rows, l2);
  return weights;
}

/** Above 0 where the weights prefer the chosen answer. */
export function wordMargin(weights: WordWeights, pair: Answers): number {
  return marginOf(weights, differences(pair));
}

type Row = ReadonlyMap<string, number>;

function descend(weights: Map<string, number>, rows: readonly Row[], l2: number): void {
  const gradient = new Map([...weights].map(([word, weight]) => [word, l2 * weight]));
  for (const row of rows) {
    const slope = -1 / (1 + Math.exp(marginOf(weights, row))) / rows.length;
    for (const [word, difference] of row) {
      const known = gradient.get(word);
      if (known !== undefined) gradient.set(word, known + slope * difference);
    }
  }
  for (const [word, slope] of gradient) weights.set(word, (weights.get(word) ?? 0) - STEP * slope);
}

function marginOf(weights: WordWeights, row: Row): number {
  let margin = 0;
  for (const [word, difference] of row) margin += difference * (weights.get(word) ?? 0);
  return margin;
}

/** How often more each word is in the chosen answer, squeezed to ±1 and 0: long answers count no more. */
function differences({ chosen, rejected }: Answers): Row {
  const row = new Map<string, number>();
  for (const word of wordsOf(chosen)) row.set(word, 1);
  for (const word of wordsOf(rejected)) row.set(word, (row.get(word) ?? 0) - 1);
  for (const [word, difference] of row) if (difference === 0) row.delete(word);
  return row;
}

function wordsOf(text: string): Set<string> {
  return new Set(text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? []);
}
