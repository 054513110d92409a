/**
 * What libllama alone takes for the tokens of one person's answers: no sampling, no server, no text. No server on the
 * same file and threads, which computes one token after the other, can be quicker.
 */
import { LlamaContext } from "#engine/llama/context.ts";
import { chooseBuild } from "#engine/llama/gpu-build.ts";
import { LoadedModel } from "#engine/llama/model.ts";
import { DecodeBatch } from "#engine/native/decode-batch.ts";
import { loadLibraries } from "#engine/native/library.ts";
import { ANSWER_TOKENS, CONTEXT_TOKENS, PROMPT_TOKENS } from "./workload.ts";

/** Generated tokens a second over some requests, each with its prompt. */
export async function timeBareDecodes(run: {
  readonly modelPath: string;
  readonly threads: number;
  readonly requests: number;
}): Promise<number> {
  const build = await chooseBuild("auto");
  await using model = await LoadedModel.open(run.modelPath, {
    libraries: loadLibraries(build.folder),
    gpuLayers: build.kind === "cpu" ? 0 : 999,
    use: "chat",
  });
  const { llama, pointer, vocabulary } = model.weights;
  await using context = await LlamaContext.open(llama, pointer, {
    cells: CONTEXT_TOKENS,
    sequences: 1,
    pooled: false,
    cacheType: "f16",
    batchTokens: PROMPT_TOKENS,
    threads: run.threads,
    batchThreads: run.threads,
    vocabularySize: vocabulary.size,
  });
  const batch = new DecodeBatch(PROMPT_TOKENS);
  computeAnswer(context, batch);
  const startMs = performance.now();
  for (let request = 0; request < run.requests; request += 1) computeAnswer(context, batch);
  const seconds = (performance.now() - startMs) / 1000;
  return (run.requests * ANSWER_TOKENS) / seconds;
}

function computeAnswer(context: LlamaContext, batch: DecodeBatch): void {
  context.truncate(0, 0);
  batch.clear();
  for (let position = 0; position < PROMPT_TOKENS; position += 1) {
    batch.add(tokenAt(position), position, 0, position === PROMPT_TOKENS - 1);
  }
  context.decode(batch);
  // The prompt's decode gives the first token.
  for (let token = 1; token < ANSWER_TOKENS; token += 1) {
    const position = PROMPT_TOKENS + token - 1;
    batch.clear();
    batch.add(tokenAt(position), position, 0, true);
    context.decode(batch);
  }
}

/** Any words: what they are does not change how long they take. */
function tokenAt(position: number): number {
  return 300 + position;
}
