/**
 * Greedy answers computed the plain way: one sequence, every prompt from its first token, no batch shared, no KV
 * kept or copied. What the decode loop is held against; it shares only the thinnest layer with it.
 */
import type { GenerateRequest } from "#engine/backends/backend.ts";
import { LlamaContext } from "#engine/llama/context.ts";
import { rankTokens } from "#engine/llama/logprobs.ts";
import { LoadedModel } from "#engine/llama/model.ts";
import { DecodeBatch } from "#engine/native/decode-batch.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import type { Answer } from "./ask.ts";

const CONTEXT_TOKENS = 256;

/**
 * Answers requests one after the other. Sampling, stop strings and signals are ignored.
 * @param adapterPath the adapter that all of them are answered with
 */
export async function referenceAnswers(
  modelPath: string,
  asked: readonly GenerateRequest[],
  adapterPath?: string,
): Promise<readonly Answer[]> {
  const libraries = cpuLibraries();
  await using model = await LoadedModel.open(modelPath, { libraries, gpuLayers: 0 });
  await using context = await LlamaContext.open(model.llama, model.pointer, {
    cells: CONTEXT_TOKENS,
    sequences: 1,
    pooled: false,
    cacheType: "f16",
    batchTokens: CONTEXT_TOKENS,
    threads: 1,
    batchThreads: 1,
    vocabularySize: model.vocabulary.size,
  });
  if (adapterPath !== undefined) context.attach(await model.loadAdapter(adapterPath));
  const answers: Answer[] = [];
  for (const request of asked) answers.push(await answer(model, context, request));
  return answers;
}

async function answer(
  model: LoadedModel,
  context: LlamaContext,
  { messages, maxTokens, adapter }: GenerateRequest,
): Promise<Answer> {
  const { vocabulary } = model;
  const batch = new DecodeBatch(CONTEXT_TOKENS);
  const plain = messages.flatMap((message) => (message.role === "tool" ? [] : [message]));
  const prompt = vocabulary.encodeChat(plain, { addGenerationPrompt: true });
  const tokenIds: number[] = [];
  const leads: number[] = [];
  let reason: "stop" | "length" = "length";
  let next: readonly number[] = [...prompt];
  context.truncate(0, 0);
  while (tokenIds.length < Math.min(maxTokens, CONTEXT_TOKENS - prompt.length)) {
    const start = tokenIds.length === 0 ? 0 : prompt.length + tokenIds.length - 1;
    batch.clear();
    next.forEach((token, i) => {
      batch.add(token, start + i, 0, i === next.length - 1);
    });
    context.decode(batch);
    const [best, second] = rankTokens(context.logits(next.length - 1), 0, 2).top;
    if (best === undefined || second === undefined) throw new Error("the vocabulary has no tokens");
    if (vocabulary.endsGeneration(best.id)) {
      reason = "stop";
      break;
    }
    tokenIds.push(best.id);
    leads.push(best.logprob - second.logprob);
    next = [best.id];
  }
  const bytes = Buffer.concat(tokenIds.map((id) => vocabulary.bytesOf(id)));
  // As when streaming, an unfinished character at the end is not shown.
  const text = new TextDecoder().decode(bytes, { stream: true });
  const completionTokens = tokenIds.length + (reason === "stop" ? 1 : 0);
  return { text, tokenIds, leads, adapter, end: { type: "end", reason, completionTokens } };
}
