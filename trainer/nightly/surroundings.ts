/** What every stage of a training run has at hand. Types, and how the parts are opened. */
import { availableParallelism } from "node:os";
import type { Backend } from "#engine/backends/backend.ts";
import { openLocalBackend } from "#engine/backends/local.ts";
import type { Clock } from "#engine/base/clock.ts";
import type { Config } from "#engine/base/config.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import type { ModelLocation } from "#engine/service/model-path.ts";
import { loadKeepSet, loadPrompt, type Prompt } from "#prompts/load.ts";
import type { KeyRing } from "../feedback/key-ring.ts";
import {
  type ChosenRefusalJudge,
  chooseRefusalJudge,
  knownAnswers,
} from "../judge/refusal-judge.ts";
import type { Progress } from "../run/run.ts";

/** A run's surroundings. */
export type Surroundings = {
  readonly config: Config;
  readonly clock: Clock;
  readonly libraries: NativeLibraries;
  readonly model: ModelLocation & { readonly sha256: string };
  readonly systemPrompt: Prompt;
  /** With which people's words are sealed wherever a run puts them down. */
  readonly keys: KeyRing;
  /** Aborting ends the run where it can be taken up again. */
  readonly signal: AbortSignal;
  /** What is being done now, for people. */
  readonly say: (what: string) => void;
  readonly onProgress: (progress: Progress) => void;
};

/** An answer that is longer counts as one that does not end. */
const ANSWER_TOKENS_MOST = 512;
/** Conversations at once: more would not be faster here, and each takes memory. */
const STREAMS = 16;

/** Opens the model to generate with; its bare weights also judge. */
export function openBackend({ config, model }: Surroundings): Promise<Backend> {
  return openLocalBackend({
    modelPath: model.path,
    modelId: model.id,
    gpu: config.GPU,
    gpuLayers: config.GPU_LAYERS,
    contextTokens: config.CONTEXT_TOKENS,
    streams: Math.min(STREAMS, config.STREAMS),
    threads: threadsOf(config),
  });
}

/** Tokens that an answer may take here: half the context at most, the other half is the prompt's. */
export function answerTokens({ CONTEXT_TOKENS }: Config): number {
  return Math.min(ANSWER_TOKENS_MOST, Math.floor(CONTEXT_TOKENS / 2));
}

/** Threads for CPU work: the setting, or one for each core. */
export function threadsOf({ THREADS }: Config): number {
  return THREADS ?? availableParallelism();
}

/** The refusal judge for a model, by the keep-set's known dialogues. */
export function openRefusalJudge(
  backend: Backend,
  signal: AbortSignal,
): Promise<ChosenRefusalJudge> {
  const known = knownAnswers(loadKeepSet());
  return chooseRefusalJudge(backend, loadPrompt("judge/refusal"), known, signal);
}
