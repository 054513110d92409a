/** One run on pairs: the untrained model's word, dSFT where asked for, DPO against what that left, and the word after. */

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LORA_TARGETS } from "#engine/base/config.ts";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import { loadKeepSet } from "#prompts/load.ts";
import { splitStep } from "#trainer/data/batches.ts";
import { encodeDialogues, encodePairs, type LengthLimits } from "#trainer/data/chat.ts";
import type { Dialogue, PreferencePair } from "#trainer/data/preference.ts";
import { scoredTokens, sequenceLogp } from "#trainer/data/sequence.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import type { Sequence, Trainable } from "#trainer/model/trainable.ts";
import { loadCorpus } from "#trainer/nano/corpus/corpus.ts";
import { drawDialogues } from "#trainer/nano/corpus/dialogues.ts";
import { trainDpo } from "#trainer/run/dpo.ts";
import type { Progress } from "#trainer/run/run.ts";
import { trainSft } from "#trainer/run/sft.ts";

/** What runs may differ in. */
export type Variant = {
  readonly rate: number;
  readonly epochs: number;
  /** Of dSFT on the chosen answers' dialogues before; 0 leaves it out. */
  readonly sftEpochs: number;
  readonly sftRate: number;
  /** Dialogues of the model's own corpus that are learnt among them. */
  readonly replay: number;
  /** Of a prompt and an answer together; the prompt gives way first. */
  readonly tokens: number;
};

/** What to run, and where. */
export type VariantRun = {
  readonly variant: Variant;
  readonly modelPath: string;
  readonly libraries: NativeLibraries;
  readonly threads: number;
  readonly seed: number;
  /** Keeps checkpoints, curves and caches; a run found there is taken up. */
  readonly folder: string;
  readonly learn: readonly PreferencePair[];
  readonly judge: readonly PreferencePair[];
  /** Whether the pairs to judge by are in the curve too; nothing is stopped by it. */
  readonly curve: boolean;
  readonly onProgress: (progress: Progress) => void;
};

/** Log-likelihood of both answers, whole and per token, nats. */
export type Score = {
  readonly chosen: number;
  readonly rejected: number;
  readonly chosenPerToken: number;
  readonly rejectedPerToken: number;
};

/** What a model says of the pairs to judge by, and of the keep-set. */
export type Word = {
  readonly scores: readonly Score[];
  /** NLL per token, nats. */
  readonly keepNll: number;
};

/** The word of each stage; `reference` is the untrained model's where there was no dSFT. */
export type Words = Readonly<Record<"untrained" | "reference" | "trained", Word>>;

/** Of the adapter on all linear layers. */
const RANK = 16;
const TOKENS_PER_BATCH = 2048;
const BATCH = 16;
const PROMPT_SHARE = 0.6;
const REPLAY_SEED = 9_000;

/** @throws CodedError of the trainer's */
export async function runVariant(run: VariantRun): Promise<Words> {
  const { variant, modelPath, libraries, threads, seed, folder } = run;
  mkdirSync(folder, { recursive: true });
  using vocabulary = Vocabulary.open(modelPath, libraries);
  using model = openTrainable({
    ggufPath: modelPath,
    lora: { rank: RANK, alpha: RANK, targets: LORA_TARGETS, seed },
    precision: "bf16",
    threads,
    maxTokensPerBatch: TOKENS_PER_BATCH,
    libraries,
  });
  const ask = () => wordOf(model, vocabulary, run.judge, limitsOf(variant));
  const untrained = await ask();
  const start = variant.sftEpochs > 0 ? await imitate(model, vocabulary, run) : undefined;
  const reference = start === undefined ? untrained : await ask();
  await trainDpo({
    model,
    vocabulary,
    pairs: run.learn,
    evalPairs: run.curve ? run.judge : [],
    keepSet: loadKeepSet(),
    modelSha256: sha256(readFileSync(modelPath)),
    ...(start === undefined ? {} : { startAdapterSha256: start }),
    runDir: join(folder, "dpo"),
    options: {
      ...commonOptions(run),
      learningRate: variant.rate,
      epochs: variant.epochs,
    },
    onProgress: run.onProgress,
  });
  return { untrained, reference, trained: await ask() };
}

/** Leaves the optimiser as new. @returns sha256 of what the model has become, hex */
async function imitate(model: Trainable, vocabulary: Vocabulary, run: VariantRun): Promise<string> {
  const { variant, learn, seed } = run;
  const chosen = learn.map(({ id, prompt, chosen: content }): Dialogue => {
    return { id, messages: [...prompt, { role: "assistant", content }] };
  });
  await trainSft({
    model,
    vocabulary,
    dialogues: [...chosen, ...drawDialogues(loadCorpus(), variant.replay, REPLAY_SEED + seed)],
    runDir: join(run.folder, "sft"),
    options: {
      ...commonOptions(run),
      learningRate: variant.sftRate,
      epochs: variant.sftEpochs,
    },
    onProgress: run.onProgress,
  });
  const hash = createHash("sha256");
  const moments = new Map<string, { m: Float32Array; v: Float32Array }>();
  for (const { name } of model.parameters()) {
    const values = model.readParameter(name);
    hash.update(values);
    moments.set(name, { m: new Float32Array(values.length), v: new Float32Array(values.length) });
  }
  model.writeOptimizer({ step: 0, moments });
  return hash.digest("hex");
}

function commonOptions({ variant, seed, learn }: VariantRun) {
  return {
    ...limitsOf(variant),
    seed,
    batchSize: BATCH,
    maxTokensPerBatch: TOKENS_PER_BATCH,
    evalEverySteps: Math.ceil(learn.length / BATCH / 2),
  };
}

function limitsOf({ tokens }: Variant): LengthLimits {
  return { maxTokens: tokens, maxPromptTokens: Math.floor(PROMPT_SHARE * tokens) };
}

async function wordOf(
  model: Trainable,
  vocabulary: Vocabulary,
  pairs: readonly PreferencePair[],
  limits: LengthLimits,
): Promise<Word> {
  const scores = new Map<string, Score>();
  const { examples } = encodePairs(vocabulary, pairs, limits);
  for (const part of splitStep(examples, TOKENS_PER_BATCH).parts) {
    const sequences = part.map((example) => example.sequences);
    const logps = await model.logps(sequences.flat());
    part.forEach(({ id }, i) => {
      scores.set(id, scoreOf(sequences[i] ?? [], logps.slice(2 * i, 2 * i + 2)));
    });
  }
  const scoreById = ({ id }: PreferencePair): Score => {
    const score = scores.get(id);
    if (score === undefined) throw new RangeError(`${id} holds nothing to judge by`);
    return score;
  };
  return { scores: pairs.map(scoreById), keepNll: await keepNllOf(model, vocabulary, limits) };
}

/** @param logps [2][tokens], of the chosen answer and of the rejected one */
function scoreOf(sequences: readonly Sequence[], logps: readonly Float32Array[]): Score {
  const [chosen = 0, rejected = 0] = logps.map(sequenceLogp);
  const [chosenTokens = 1, rejectedTokens = 1] = sequences.map(scoredTokens);
  return {
    chosen,
    rejected,
    chosenPerToken: chosen / chosenTokens,
    rejectedPerToken: rejected / rejectedTokens,
  };
}

async function keepNllOf(
  model: Trainable,
  vocabulary: Vocabulary,
  limits: LengthLimits,
): Promise<number> {
  const kept = encodeDialogues(vocabulary, loadKeepSet(), limits).examples;
  const sequences = kept.flatMap((example) => example.sequences);
  const logps = await model.logps(sequences);
  const tokens = sequences.reduce((sum, sequence) => sum + scoredTokens(sequence), 0);
  return -logps.reduce((sum, each) => sum + sequenceLogp(each), 0) / tokens;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
