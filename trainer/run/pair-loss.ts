/** Losses of pairs as the training loop takes them: examples of two sequences in, weights per token and TRL's figures out. */
import { type Example, scoredTokens, sequenceLogp } from "../data/sequence.ts";
import { desensitisedLogp, type SplitLogp, splitLogp, tailStartOf } from "../losses/ld-dpo.ts";
import { orpoLoss } from "../losses/orpo.ts";
import type { PairLogps, PairLoss } from "../losses/pair.ts";
import {
  assertPairLossOptions,
  isReferenceFree,
  type PairLossOptions,
  pairLoss,
} from "../losses/preference.ts";
import type { Sequence } from "../model/trainable.ts";
import type { PartWeigher } from "./run.ts";

/** The reference's log-probabilities of a pair, chosen first, each split at the pair's shared length. */
export type PairReference = readonly [SplitLogp, SplitLogp];

/** The reference of each pair. */
export type PairReferences = { get(example: Example): PairReference | undefined };

/** A pair in a step: its example and the log-probabilities of its tokens. */
type ScoredPair = {
  readonly chosen: ScoredSequence;
  readonly rejected: ScoredSequence;
  /** Scored tokens of the shorter completion. */
  readonly sharedTokens: number;
};

type ScoredSequence = {
  readonly sequence: Sequence;
  readonly logps: Float32Array;
  readonly tokens: number;
};

/**
 * The mean of the pairs' losses over a step, weighted by the pairs' weights; the other figures are plain means.
 * @param reference for every example; undefined for losses that are `isReferenceFree`
 * @throws RangeError for settings that make no loss
 */
export function preferenceLoss(
  reference: PairReferences | undefined,
  options: PairLossOptions,
): (step: readonly Example[]) => PartWeigher {
  assertPairLossOptions(options);
  if (reference === undefined && !isReferenceFree(options.loss)) {
    throw new RangeError(`the loss ${options.loss} needs the reference's log-probabilities`);
  }
  return (step) => {
    const totalWeight = step.reduce((sum, { weight }) => sum + weight, 0);
    return (part, logps) => {
      const gradients: Float32Array[] = [];
      const metrics: { loss: number } & Record<string, number> = { loss: 0 };
      part.forEach((example, index) => {
        const pair = scorePair(example, logps[2 * index], logps[2 * index + 1]);
        const given = weighted(pair, reference?.get(example), options);
        const loss = pairLoss(given, options);
        const share = example.weight / totalWeight;
        metrics.loss += share * loss.loss;
        addFigures(metrics, figuresOf(pair, given, loss, options), 1 / step.length);
        gradients.push(
          spread(pair.chosen, pair, share * loss.policyChosenGradient, options),
          spread(pair.rejected, pair, share * loss.policyRejectedGradient, options),
        );
      });
      return { gradients, metrics };
    };
  };
}

/** Sequences come in pairs: chosen, rejected. */
function scorePair(
  { id, sequences: [chosen, rejected] }: Example,
  chosenLogps: Float32Array | undefined,
  rejectedLogps: Float32Array | undefined,
): ScoredPair {
  if (!(chosen && rejected && chosenLogps && rejectedLogps)) {
    throw new RangeError(`${id} is no pair`);
  }
  const scored = (sequence: Sequence, logps: Float32Array): ScoredSequence => {
    return { sequence, logps, tokens: scoredTokens(sequence) };
  };
  const pair = { chosen: scored(chosen, chosenLogps), rejected: scored(rejected, rejectedLogps) };
  return { ...pair, sharedTokens: Math.min(pair.chosen.tokens, pair.rejected.tokens) };
}

const NO_REFERENCE: PairReference = [
  { shared: 0, tail: 0 },
  { shared: 0, tail: 0 },
];

/** What the loss reads: sums, with the tails at their weight. */
function weighted(
  { chosen, rejected, sharedTokens }: ScoredPair,
  reference: PairReference | undefined,
  { loss, ldAlpha }: PairLossOptions,
): PairLogps {
  const policy = ({ logps, sequence }: ScoredSequence): number =>
    desensitisedLogp(splitLogp(logps, sequence.scored, sharedTokens), ldAlpha);
  const [ofChosen, ofRejected] = isReferenceFree(loss) ? NO_REFERENCE : (reference ?? MISSING);
  return {
    policyChosenLogp: policy(chosen),
    policyRejectedLogp: policy(rejected),
    referenceChosenLogp: desensitisedLogp(ofChosen, ldAlpha),
    referenceRejectedLogp: desensitisedLogp(ofRejected, ldAlpha),
    chosenTokens: chosen.tokens,
    rejectedTokens: rejected.tokens,
  };
}

/** An example without reference: NaN stops the run, naming it. */
const MISSING: PairReference = [
  { shared: Number.NaN, tail: Number.NaN },
  { shared: Number.NaN, tail: Number.NaN },
];

/** The gradient of a sequence's log-probability on each of its tokens. */
function spread(
  { sequence }: ScoredSequence,
  { sharedTokens }: ScoredPair,
  gradient: number,
  { ldAlpha }: PairLossOptions,
): Float32Array {
  const tailStart = tailStartOf(sequence.scored, sharedTokens);
  return new Float32Array(sequence.tokens.length)
    .fill(gradient)
    .fill(gradient * ldAlpha, tailStart);
}

/** By TRL's names; log-probabilities are whole sums whatever the loss made of them. */
function figuresOf(
  { chosen, rejected }: ScoredPair,
  given: PairLogps,
  loss: PairLoss,
  options: PairLossOptions,
): Record<string, number> {
  const chosenLogp = sequenceLogp(chosen.logps);
  const margin = loss.chosenReward - loss.rejectedReward;
  return {
    "rewards/chosen": loss.chosenReward,
    "rewards/rejected": loss.rejectedReward,
    "rewards/accuracies": margin > 0 ? 1 : 0,
    "rewards/margins": margin,
    "logps/chosen": chosenLogp,
    "logps/rejected": sequenceLogp(rejected.logps),
    ...(options.rpoAlpha === 0 ? {} : { nll_loss: -chosenLogp / chosen.tokens }),
    ...(options.loss === "orpo" ? orpoFigures(given, options) : {}),
  };
}

function orpoFigures(given: PairLogps, options: PairLossOptions): Record<string, number> {
  const { nll, logOdds, logOddsRatio } = orpoLoss(given, options);
  return { nll_loss: nll, log_odds_chosen: logOdds, log_odds_ratio: logOddsRatio };
}

function addFigures(
  sums: Record<string, number>,
  figures: Readonly<Record<string, number>>,
  share: number,
): void {
  for (const [name, value] of Object.entries(figures)) {
    sums[name] = (sums[name] ?? 0) + share * value;
  }
}
