/**
 * What preference runs share before the loop begins: enough data, the frozen reference, the keep-set. It knows
 * no loss.
 */
import { join } from "node:path";
import { CodedError } from "#engine/base/errors.ts";
import { type ChatEncoder, encodeDialogues, type LengthLimits } from "../data/chat.ts";
import type { ExampleSource } from "../data/example-source.ts";
import type { ExampleSeal } from "../data/example-store.ts";
import type { Dialogue } from "../data/preference.ts";
import { type Example, scoredTokens, sequenceLogp } from "../data/sequence.ts";
import { type SplitLogp, tailStartOf } from "../losses/ld-dpo.ts";
import type { PairLossOptions } from "../losses/preference.ts";
import type { Sequence } from "../model/trainable.ts";
import type { PairReferences } from "./pair-loss.ts";
import { type ReferenceLogps, type ReferenceRequest, referenceLogps } from "./reference.ts";
import type { RunSurroundings, TrainOutcome, Watch } from "./run.ts";

/** What a preference run takes beside its data and settings. */
export type PreferenceSurroundings = RunSurroundings & {
  readonly vocabulary: ChatEncoder;
  /** Seals what of people's words lies in `runDir` as tokens, and what they are found by; needed where examples name people. */
  readonly seal?: ExampleSeal & ReferenceRequest["seal"];
  /** sha256 of the model's file, under which reference log-probabilities are cached. */
  readonly modelSha256: string;
  /**
   * Where the run goes on from an adapter that is in the model already: the sha256 of its file. The reference is
   * then that adapter as it is before the first step; otherwise it is the bare model.
   */
  readonly startAdapterSha256?: string;
  /** Where reference log-probabilities are cached; the run's folder unless several runs share one. */
  readonly referenceCachePath?: string;
  /** Dialogues whose likelihood must stay: `eval_keep_nll` and `eval_keep_nll_rise` at each evaluation. */
  readonly keepSet?: readonly Dialogue[];
};

/** Hashes and numbers. */
const REFERENCE_FILE = "reference-logps.db";

/** Aborted while the reference was computed; what was computed is cached. */
export const NOT_BEGUN: TrainOutcome = {
  status: "aborted",
  step: 0,
  totalSteps: 0,
  tokens: 0,
  elapsedMs: 0,
  metrics: undefined,
  best: undefined,
  paddingFraction: 0,
  resumedFrom: 0,
  damagedCheckpoints: [],
};

/** @throws CodedError `data_too_small` */
export function assertEnough(
  what: string,
  { usable, given, needed }: { usable: number; given: number; needed: number },
): void {
  if (usable >= Math.max(1, needed)) return;
  throw new CodedError(
    `Training needs at least ${Math.max(1, needed)} usable ${what}, found ${usable} of ${given} given. Collect more votes and ratings, then train again.`,
    { code: "data_too_small" },
  );
}

/**
 * The reference's log-probabilities of every sequence, by example. It must be called before the loop takes up a
 * checkpoint: a run that goes on from an adapter has no other copy of it.
 * @returns undefined when the signal came before all were there; else to be disposed
 * @throws CodedError `disk_full`
 */
export function referenceOf(
  run: PreferenceSurroundings,
  sources: readonly ExampleSource[],
  maxTokensPerBatch: number,
): ReturnType<typeof referenceLogps> {
  const { model, startAdapterSha256: start } = run;
  return referenceLogps({
    ...run,
    model:
      start === undefined
        ? model
        : {
            logps: (batch, { signal } = {}) => model.logps(batch, { signal }),
          },
    modelSha256: start === undefined ? run.modelSha256 : `${run.modelSha256}+${start}`,
    sources,
    maxTokensPerBatch,
    cachePath: run.referenceCachePath ?? join(run.runDir, REFERENCE_FILE),
  });
}

/** What tells a run with this start and adapter from others, for the checkpoint's key. */
export function startKey({ startAdapterSha256, model }: PreferenceSurroundings): string {
  return JSON.stringify([startAdapterSha256 ?? "base", model.lora ?? null]);
}

/**
 * What the reference has to score beside `pairs` so that each pair can be split at its shared length: the
 * longer completion up to there.
 */
export function sharedHeads(pairs: ExampleSource): ExampleSource {
  return {
    count: pairs.count,
    sha256: pairs.sha256,
    longestAt: (place) => pairs.longestAt(place),
    read: (place) => sharedHead(pairs.read(place)),
  };
}

/** Without a sequence where both completions are of one length. */
function sharedHead(example: Example): Example {
  const counts = example.sequences.map(scoredTokens);
  const shared = Math.min(...counts);
  const longer = example.sequences.find((_, i) => (counts[i] ?? 0) > shared);
  return { ...example, sequences: longer === undefined ? [] : [headOf(longer, shared)] };
}

function headOf({ tokens, scored }: Sequence, sharedTokens: number): Sequence {
  const end = tailStartOf(scored, sharedTokens);
  return { tokens: tokens.slice(0, end), scored: scored.slice(0, end) };
}

/** The reference of pairs, split at their shared length; where nothing depends on it (ldAlpha 1), heads were not scored. */
export function splitReference(
  known: ReferenceLogps,
  { ldAlpha }: Pick<PairLossOptions, "ldAlpha">,
): PairReferences {
  return {
    get: (example) => {
      const [chosen = Number.NaN, rejected = Number.NaN] = known.get(example) ?? [];
      const [shared] = ldAlpha === 1 ? [] : (known.get(sharedHead(example)) ?? []);
      if (shared === undefined) return [whole(chosen), whole(rejected)];
      const [chosenTokens = 0, rejectedTokens = 0] = example.sequences.map(scoredTokens);
      return chosenTokens > rejectedTokens
        ? [{ shared, tail: chosen - shared }, whole(rejected)]
        : [whole(chosen), { shared, tail: rejected - shared }];
    },
  };
}

function whole(logp: number): SplitLogp {
  return { shared: logp, tail: 0 };
}

/** The keep-set's sequences. */
export function keepExamples(
  run: PreferenceSurroundings,
  limits: LengthLimits,
): readonly Example[] {
  return encodeDialogues(run.vocabulary, run.keepSet ?? [], limits).examples;
}

/**
 * NLL per token of the keep-set (`keep_nll`) and its rise over the reference as a share of that
 * (`keep_nll_rise`); undefined without a keep-set.
 */
export function keepWatch(
  examples: readonly Example[],
  reference: ReferenceLogps,
): Watch | undefined {
  if (examples.length === 0) return undefined;
  const tokens = sum(examples.flatMap(({ sequences }) => sequences.map(scoredTokens)));
  const nllOf = (part: readonly Example[]) =>
    -sum(part.flatMap((example) => reference.get(example) ?? [Number.NaN]));
  const before = nllOf(examples);
  return {
    examples,
    measure: (part, logps) => {
      const nll = -sum(logps.map(sequenceLogp));
      return { keep_nll: nll / tokens, keep_nll_rise: (nll - nllOf(part)) / before };
    },
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
