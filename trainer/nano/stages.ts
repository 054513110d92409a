/**
 * The recipe's stages, each from one GGUF to the next: Zephyr's steps after a pretraining of its own.
 * A stage whose file is there is not run again; one that was stopped goes on from its checkpoint.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { openLocalBackend } from "#engine/backends/local.ts";
import { ZEPHYR_JINJA } from "#engine/llama/chat-template.ts";
import { encodeDialogues } from "../data/chat.ts";
import { encodeDocument, packDocuments } from "../data/packing.ts";
import type { Dialogue } from "../data/preference.ts";
import { SeededRandom } from "../data/random.ts";
import type { Example } from "../data/sequence.ts";
import { llamaTensors, type TensorShape } from "../gguf/llama-shape.ts";
import { writeModelGguf } from "../gguf/model-file.ts";
import { trainDpo } from "../run/dpo.ts";
import { trainLanguageModel, trainSft } from "../run/sft.ts";
import type { Corpus } from "./corpus/corpus.ts";
import { drawDialogues, USUAL_STYLE } from "./corpus/dialogues.ts";
import { drawDocuments } from "./corpus/documents.ts";
import { drawOwnMistakes } from "./own-mistakes.ts";
import { drawPairs } from "./pairs.ts";
import type { NanoPlan } from "./plan.ts";
import { learnVocabulary } from "./tokenizer/learn.ts";
import { type StageOutcome, type StageSetting, trainedStage } from "./trained-stage.ts";

/** What the stages share. */
export type Recipe = Omit<StageSetting, "maxTokensPerBatch"> & {
  readonly plan: NanoPlan;
  readonly corpus: Corpus;
};

const TOKENIZER_DIALOGUES = 6_000;
/** GPT-2's and Mistral's deviation for new weights. */
const INITIAL_DEVIATION = 0.02;
const OWN_SAMPLE_STREAMS = 16;
const OWN_SAMPLE_CONTEXT = 512;
/** Seeds of different draws must differ, or stages would repeat each other's data. */
const SEEDS = { tokenizer: 100, pretrain: 200, sft: 300, sftEval: 400, pairs: 500, own: 600 };

/** Learns the tokenizer and writes the untrained model. */
export function makeUntrained(recipe: Recipe, path: string): void {
  if (existsSync(path)) return;
  const { plan, corpus, libraries } = recipe;
  const tokens = learnVocabulary(tokenizerTexts(corpus, plan), plan.vocabularySize);
  const shape = { ...plan.shape, nVocab: tokens.tokens.length };
  const tensors = llamaTensors(shape).map((tensor, index) => ({
    ...tensor,
    values: () => initialValues(tensor, shape.nLayer, SeededRandom.from(plan.seed, index)),
  }));
  const from = { name: "Zephyr nano", shape, tokens, chatTemplate: ZEPHYR_JINJA };
  writeModelGguf(path, { libraries, from, tensors, type: "f32" });
}

/** Whatever kinds of dialogue the plan trains on have whole words; conversations have no words of their own. */
function* tokenizerTexts(corpus: Corpus, { seed, sft }: NanoPlan): Generator<string> {
  const all = new Set(sft.flatMap(({ style }) => style.kinds));
  const kinds = [...all].filter((kind) => kind !== "conversation");
  const style = { ...USUAL_STYLE, kinds };
  const drawn = drawDialogues(corpus, TOKENIZER_DIALOGUES, seed + SEEDS.tokenizer, style);
  for (const { messages } of drawn) {
    for (const { role, content } of messages) yield `<|${role}|>\n${content}`;
  }
  // Every topic's own words, whatever the draw left out.
  yield* drawDocuments(corpus, 2, seed + SEEDS.tokenizer);
}

/** What ends a residual branch is smaller, so that the sum does not grow with depth (GPT-2). */
function initialValues(
  { name, ne }: TensorShape,
  layers: number,
  random: SeededRandom,
): Float32Array {
  const values = new Float32Array(ne.reduce((product, count) => product * count, 1));
  if (ne.length === 1) return values.fill(1);
  const endsBranch = /attn_output|ffn_down/.test(name);
  const deviation = INITIAL_DEVIATION / (endsBranch ? Math.sqrt(2 * layers) : 1);
  return values.map(() => deviation * random.gaussian());
}

/** Every token of the facts as plain text. */
export function pretrain(recipe: Recipe, from: string, to: string): Promise<StageOutcome> {
  const { plan, corpus } = recipe;
  const { rounds, sequenceTokens, options } = plan.pretrain;
  return trainedStage(
    settingOf(recipe),
    { from, to, name: "pretrain" },
    ({ surroundings, vocabulary }) => {
      const texts = drawDocuments(corpus, rounds, plan.seed + SEEDS.pretrain);
      const documents = texts.map((text) => encodeDocument(vocabulary, text));
      const examples = packDocuments(documents, sequenceTokens);
      return trainLanguageModel({ ...surroundings, examples, options });
    },
  );
}

/** One round of dSFT: the assistant's turns of drawn dialogues. @param round counted from 0 */
export function fineTune(
  recipe: Recipe,
  round: number,
  from: string,
  to: string,
): Promise<StageOutcome> {
  const { plan, corpus } = recipe;
  const settings = plan.sft[round];
  if (settings === undefined) throw new RangeError(`the plan has no round ${round} of dSFT`);
  const drawn = drawDialogues(
    corpus,
    settings.dialogues,
    plan.seed + SEEDS.sft + round,
    settings.style,
  );
  const heldOut = drawDialogues(
    corpus,
    settings.evalDialogues,
    plan.seed + SEEDS.sftEval,
    settings.style,
  );
  const { options, openingTokens } = settings;
  return trainedStage(
    settingOf(recipe),
    { from, to, name: `sft-${round + 1}` },
    ({ surroundings, vocabulary }) => {
      if (openingTokens === undefined) {
        const data = { dialogues: drawn, evalDialogues: heldOut };
        return trainSft({ ...surroundings, ...data, vocabulary, options });
      }
      const openings = (dialogues: readonly Dialogue[]) =>
        encodeDialogues(vocabulary, dialogues, options).examples.map((example) =>
          cutLastAnswer(example, openingTokens),
        );
      const data = { examples: openings(drawn), evalExamples: openings(heldOut) };
      return trainLanguageModel({ ...surroundings, ...data, options });
    },
  );
}

/** The example with no more than `opening` tokens of its last answer. */
function cutLastAnswer(example: Example, opening: number): Example {
  const sequences = example.sequences.map(({ tokens, scored }) => {
    const end = scored.lastIndexOf(0) + 1 + opening;
    return { tokens: tokens.slice(0, end), scored: scored.slice(0, end) };
  });
  return { ...example, sequences };
}

/** dDPO: winners against losers, some of them the model's own mistakes. */
export async function optimisePreferences(
  recipe: Recipe,
  from: string,
  to: string,
): Promise<StageOutcome> {
  if (existsSync(to)) return undefined;
  const { plan, corpus } = recipe;
  const pairs = [
    ...drawPairs(corpus, plan.dpo.pairs, plan.seed + SEEDS.pairs),
    ...(await sampleMistakes(recipe, from)),
  ];
  const modelSha256 = sha256Of(from);
  return trainedStage(
    settingOf(recipe),
    { from, to, name: "dpo" },
    ({ surroundings, vocabulary }) =>
      trainDpo({ ...surroundings, vocabulary, pairs, modelSha256, options: plan.dpo.options }),
  );
}

async function sampleMistakes({ plan, corpus, threads, signal }: Recipe, modelPath: string) {
  await using backend = await openLocalBackend({
    modelPath,
    modelId: "nano",
    gpu: "cpu",
    gpuLayers: 0,
    threads,
    contextTokens: OWN_SAMPLE_CONTEXT,
    streams: OWN_SAMPLE_STREAMS,
    waiting: plan.dpo.ownSamples,
  });
  const seed = plan.seed + SEEDS.own;
  // Awaited here, or else the backend would be closed while it answers.
  return await drawOwnMistakes(backend, corpus, { count: plan.dpo.ownSamples, seed, signal });
}

function settingOf(recipe: Recipe): StageSetting {
  return { ...recipe, maxTokensPerBatch: recipe.plan.pretrain.options.maxTokensPerBatch };
}

/** sha256 of a file, hex. */
function sha256Of(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
