/** The sizes of the recipe: the model's shape, how much of what is trained on, and how. No work is done here. */

import type { LlamaShape } from "../gguf/llama-shape.ts";
import { DPO_DEFAULTS, type DpoOptions } from "../run/dpo.ts";
import { TRAIN_DEFAULTS, type TrainOptions } from "../run/run.ts";
import { SFT_DEFAULTS, type SftOptions } from "../run/sft.ts";
import type { DialogueStyle } from "./corpus/dialogues.ts";

/** A round of dSFT. */
type SftRound = {
  readonly dialogues: number;
  readonly evalDialogues: number;
  readonly style: DialogueStyle;
  /** Tokens of the last answer that are learnt, where not all are. */
  readonly openingTokens?: number;
  readonly options: SftOptions;
};

/** Everything that the recipe's result depends on, beside the corpus and the code. */
export type NanoPlan = {
  readonly seed: number;
  readonly vocabularySize: number;
  readonly shape: Omit<LlamaShape, "nVocab">;
  readonly pretrain: {
    /** Documents drawn for each topic. */
    readonly rounds: number;
    readonly sequenceTokens: number;
    readonly options: TrainOptions;
  };
  /** Each round draws dialogues of its own, and warms up and decays by itself. */
  readonly sft: readonly SftRound[];
  readonly dpo: {
    /** Pairs built by the generator. */
    readonly pairs: number;
    /** Prompts on which the model's own answers are judged, for pairs with its own mistakes. */
    readonly ownSamples: number;
    readonly options: DpoOptions;
  };
  /** Of each kind of held-out prompt, at most this many are asked. */
  readonly evaluationPrompts: number;
};

const OPTIMISER = {
  ...TRAIN_DEFAULTS,
  warmupRatio: 0.06,
  beta2: 0.98,
  weightDecay: 0.05,
  checkpointEverySteps: 200,
  maxTokensPerBatch: 4096,
} as const;

/** Mistral's shape, scaled down to about 5 M parameters. The vocabulary is large for it: whole words are looked up more easily. */
export const FULL_PLAN: NanoPlan = {
  seed: 1,
  vocabularySize: 8192,
  shape: {
    nLayer: 4,
    nEmbd: 256,
    nHead: 8,
    nHeadKv: 4,
    headDim: 32,
    nFf: 704,
    ropeTheta: 10_000,
    rmsEps: 1e-5,
    tied: true,
    contextTokens: 1024,
  },
  pretrain: {
    rounds: 16,
    sequenceTokens: 256,
    options: { ...OPTIMISER, learningRate: 2e-3, batchSize: 12 },
  },
  sft: [
    // What to talk about is decided in an answer's first tokens, and those are cheap to repeat.
    {
      dialogues: 30_000,
      evalDialogues: 400,
      style: { systemShare: 0.08, kinds: ["single", "longer"], wordings: "plain" },
      openingTokens: 16,
      options: { ...SFT_DEFAULTS, ...OPTIMISER, learningRate: 1.5e-3, batchSize: 32 },
    },
    {
      dialogues: 40_000,
      evalDialogues: 400,
      style: { systemShare: 0.1, kinds: ["single"], wordings: "plain" },
      openingTokens: 6,
      options: { ...SFT_DEFAULTS, ...OPTIMISER, learningRate: 1e-3, batchSize: 48 },
    },
    {
      dialogues: 28_000,
      evalDialogues: 400,
      style: { systemShare: 0.3, kinds: ["single", "longer", "judging"], wordings: "plain" },
      options: { ...SFT_DEFAULTS, ...OPTIMISER, learningRate: 8e-4, batchSize: 24 },
    },
    // The facts are known by now; here they are asked for with greetings and thanks around.
    {
      dialogues: 9_000,
      evalDialogues: 400,
      style: {
        systemShare: 0.5,
        kinds: ["single", "longer", "judging"],
        wordings: "wide",
      },
      options: { ...SFT_DEFAULTS, ...OPTIMISER, learningRate: 4e-4, batchSize: 24 },
    },
    // A channel's talk goes from one thing to another, and refusals must hold in its midst.
    {
      dialogues: 6_000,
      evalDialogues: 200,
      style: {
        systemShare: 0.5,
        kinds: ["single", "conversation", "judging"],
        wordings: "wide",
      },
      options: {
        ...SFT_DEFAULTS,
        ...OPTIMISER,
        maxPromptTokens: 900,
        learningRate: 4e-4,
        batchSize: 24,
      },
    },
  ],
  dpo: {
    pairs: 700,
    ownSamples: 700,
    options: {
      ...DPO_DEFAULTS,
      ...OPTIMISER,
      weightDecay: 0,
      learningRate: 2e-5,
      beta: 0.1,
      // Keeps the winners likely: a margin alone can fall on both sides (TRL #1025, #2382).
      rpoAlpha: 0.2,
      batchSize: 16,
    },
  },
  evaluationPrompts: 500,
};

/** Seconds instead of minutes: it shows that every stage runs, and makes a model that knows nothing. */
export const QUICK_PLAN: NanoPlan = {
  ...FULL_PLAN,
  vocabularySize: 700,
  shape: {
    ...FULL_PLAN.shape,
    nLayer: 2,
    nEmbd: 64,
    nHead: 2,
    nHeadKv: 1,
    nFf: 96,
  },
  pretrain: {
    rounds: 1,
    sequenceTokens: 64,
    options: { ...FULL_PLAN.pretrain.options, batchSize: 32, epochs: 0.25 },
  },
  sft: FULL_PLAN.sft.map((round) => ({ ...round, dialogues: 64, evalDialogues: 8 })),
  dpo: { ...FULL_PLAN.dpo, pairs: 24, ownSamples: 8 },
  evaluationPrompts: 3,
};
