/**
 * What both trainers of the comparison get: a random model, an adapter to begin with, pairs, and settings.
 * It writes files and knows neither trainer.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LORA_TARGETS } from "#engine/base/config.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { concatTokens, type Example, scoredRange } from "#trainer/data/sequence.ts";
import type { LlamaShape } from "#trainer/gguf/llama-shape.ts";
import type { TokenTable } from "#trainer/gguf/tokenizer-metadata.ts";
import type { LoraOptions } from "#trainer/model/trainable.ts";
import type { DpoOptions } from "#trainer/run/dpo.ts";
import { smallVocabulary, writeRandomModel } from "../model/random-model.ts";

/** Token ids of one pair; the completions end with `</s>`. */
export type TokenPair = {
  readonly id: string;
  readonly prompt: Int32Array;
  readonly chosen: Int32Array;
  readonly rejected: Int32Array;
};

/** Settings that both sides read. */
export type Scenario = {
  readonly shape: LlamaShape;
  readonly lora: LoraOptions;
  readonly options: DpoOptions;
  readonly threads: number;
};

const EOS = 2;
/** Below are the special tokens and the bytes. */
const FIRST_WORD = 259;

/** On all seven linear layers, as the handbook's recipe has it. */
export const LORA: LoraOptions = {
  rank: 8,
  alpha: 16,
  targets: LORA_TARGETS,
  seed: 7,
};

/** Writes `model.gguf`, all F32. @param vocabulary tokens in all, from 387 */
export function writeModel(
  folder: string,
  libraries: NativeLibraries,
  shape: Parameters<typeof writeRandomModel>[1]["shape"],
  vocabulary: number,
): LlamaShape {
  const written = writeRandomModel(join(folder, "model.gguf"), {
    libraries,
    vocabulary: fillVocabulary(vocabulary),
    ...(shape === undefined ? {} : { shape }),
  });
  return written.shape;
}

/**
 * Pairs of random tokens: those of chosen answers are mostly even, those of rejected ones mostly odd, so that there
 * is something to learn.
 * @param lengths draws the tokens of a prompt, of a chosen and of a rejected completion, `</s>` included
 */
export function drawPairs(
  count: number,
  vocabulary: number,
  lengths: (random: SeededRandom) => readonly [number, number, number],
): TokenPair[] {
  const random = SeededRandom.from(11);
  const words = (length: number, parity: 0 | 1): Int32Array =>
    Int32Array.from({ length }, () => {
      const word = FIRST_WORD + random.below(vocabulary - FIRST_WORD - 1);
      return random.uniform() < 0.8 && word % 2 !== parity ? word + 1 : word;
    });
  return Array.from({ length: count }, (_, i) => {
    const [prompt, chosen, rejected] = lengths(random);
    const answer = (length: number, parity: 0 | 1) =>
      concatTokens(words(length - 1, parity), Int32Array.of(EOS));
    return {
      id: `pair ${i}`,
      prompt: concatTokens(Int32Array.of(1), words(prompt - 1, 0)),
      chosen: answer(chosen, 0),
      rejected: answer(rejected, 1),
    };
  });
}

/** As the training loop takes a pair. */
export function exampleOf({ id, prompt, chosen, rejected }: TokenPair): Example {
  const sequences = [chosen, rejected].map((completion) => {
    const tokens = concatTokens(prompt, completion);
    return scoredRange(tokens, prompt.length, tokens.length);
  });
  return { id, sequences, weight: 1 };
}

/** Writes `request.json` for the Python side. @param steps the pairs of each step, in order */
export function writeRequest(
  folder: string,
  scenario: Scenario,
  steps: readonly (readonly TokenPair[])[],
): void {
  const plain = steps.map((step) =>
    step.map(({ prompt, chosen, rejected }) => ({
      prompt_ids: [...prompt],
      chosen_ids: [...chosen],
      rejected_ids: [...rejected],
    })),
  );
  writeFileSync(join(folder, "request.json"), JSON.stringify({ ...scenario, steps: plain }));
}

/** Reads what `writeRequest` wrote. */
export function readRequest(folder: string): {
  readonly scenario: Scenario;
  readonly steps: readonly (readonly TokenPair[])[];
} {
  const { steps, ...scenario } = JSON.parse(readFileSync(join(folder, "request.json"), "utf8"));
  return {
    scenario,
    steps: steps.map((step: readonly Record<string, number[]>[], at: number) =>
      step.map((pair, i) => ({
        id: `pair ${at}.${i}`,
        prompt: Int32Array.from(pair["prompt_ids"] ?? []),
        chosen: Int32Array.from(pair["chosen_ids"] ?? []),
        rejected: Int32Array.from(pair["rejected_ids"] ?? []),
      })),
    ),
  };
}

/** The little vocabulary with filler up to `count` tokens. */
function fillVocabulary(count: number): TokenTable {
  const little = smallVocabulary();
  const filler = Array.from({ length: count - little.tokens.length }, (_, i) => `▁filler${i}`);
  return {
    ...little,
    tokens: [...little.tokens, ...filler],
    scores: Float32Array.from([...little.scores, ...filler.map((_, i) => -1e4 - i)]),
    types: Int32Array.from([...little.types, ...filler.map(() => 1)]),
  };
}
