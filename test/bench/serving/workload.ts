/** What the serving benchmarks ask: prompts of a known length, and how the figures are summed up. It times nothing. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChatMessage } from "#engine/backends/backend.ts";
import { chooseBuild } from "#engine/llama/gpu-build.ts";
import { loadLibraries } from "#engine/native/library.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { smallVocabulary, writeRandomModel } from "../../model/random-model.ts";

export const PROMPT_TOKENS = 128;
export const ANSWER_TOKENS = 96;
export const CONTEXT_TOKENS = 512;

/** `shared`: one system prompt for all chats; `own`: one of the same length for each chat. */
export type SystemPrompt = { readonly tokens: number; readonly kind: "shared" | "own" };

/** One conversation to answer. */
export type Conversation = readonly ChatMessage[];

/** Counts a conversation's tokens with the served model's vocabulary. */
export type CountTokens = (messages: Conversation) => number;

/**
 * Conversations with prompts of their own, `PROMPT_TOKENS` long or a little more, behind a system prompt if asked for.
 * Same seed, same conversations.
 */
export function conversations(
  count: CountTokens,
  { size, seed, system }: { size: number; seed: number; system?: SystemPrompt },
): readonly Conversation[] {
  const random = SeededRandom.from(seed, 0);
  // The shared one is the same for every seed: chats that came before have it too.
  const shared = SeededRandom.from(7, 1);
  const words = (tokens: number, source: SeededRandom): string => {
    let text = "";
    while (count(asUser(text)) < tokens) text += ` ${word(source)}`;
    return text;
  };
  const systemText = system?.kind === "shared" ? words(system.tokens, shared) : undefined;
  return Array.from({ length: size }, () => {
    const user = asUser(words(PROMPT_TOKENS, random));
    if (system === undefined) return user;
    return [{ role: "system", content: systemText ?? words(system.tokens, random) }, ...user];
  });
}

function asUser(content: string): Conversation {
  return [{ role: "user", content }];
}

function word(random: SeededRandom): string {
  const syllables = ["ka", "lo", "mi", "ten", "ru", "sa", "po", "vi", "the", "an"];
  const pick = () => syllables[Math.floor(random.uniform() * syllables.length)] ?? "";
  return `${pick()}${pick()}`;
}

/** The number below which this share of the numbers lies. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** The middle one of several runs' figures. */
export function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

/** A folder for what a benchmark writes; the caller removes it. */
export function scratchFolder(): string {
  return mkdtempSync(join(tmpdir(), "bench-engine-"));
}

/** Writes the model that the engine was first measured with: random weights, 58 M parameters, 32,000 tokens, Q8_0. */
export async function writeBenchModel(folder: string): Promise<string> {
  const libraries = loadLibraries((await chooseBuild("auto")).folder);
  const small = smallVocabulary();
  const filler = Array.from({ length: 32_000 - small.tokens.length }, (_, i) => `▁filler${i}`);
  const tokens = [...small.tokens, ...filler];
  const path = join(folder, "random-58m.gguf");
  writeRandomModel(path, {
    libraries,
    type: "q8_0",
    // Neither single bytes nor an end: answers are as long as asked for, and text that llama-server can parse.
    mutedTokens: smallVocabulary().tokens.indexOf("hel"),
    shape: {
      nLayer: 8,
      nEmbd: 512,
      nHead: 8,
      nHeadKv: 4,
      headDim: 64,
      nFf: 1536,
      contextTokens: 2048,
    },
    vocabulary: {
      ...small,
      tokens,
      scores: Float32Array.from(tokens, (_, id) => small.scores[id] ?? -id),
      types: Int32Array.from(tokens, (_, id) => small.types[id] ?? 1),
    },
  });
  return path;
}
