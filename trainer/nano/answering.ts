/** Asks a backend many questions at once, as people's chats ask it. It does not judge the answers. */
import type { Backend, ChatMessage, Sampling } from "#engine/backends/backend.ts";
import { mapBounded } from "../judge/generation.ts";

/** How answers are drawn where people are served (engine/service's defaults). */
export const SERVED_SAMPLING = { temperature: 0.7, topP: 0.95, topK: 50, minP: 0 } as const;

/** An answer and whether the model ended it by itself. */
export type SampledAnswer = { readonly text: string; readonly ended: boolean };

const MAX_ANSWER_TOKENS = 200;

/**
 * Answers all conversations on the bare weights, as many at once as the backend has streams.
 * @param sampling without a seed; each conversation gets its index as seed
 */
export function answerAll(
  backend: Backend,
  conversations: readonly (readonly ChatMessage[])[],
  sampling: Omit<Sampling, "seed">,
  signal: AbortSignal,
): Promise<SampledAnswer[]> {
  return mapBounded(conversations, backend.info.streams, (messages, seed) =>
    answerOne(backend, messages, { ...sampling, seed }, signal),
  );
}

async function answerOne(
  backend: Backend,
  messages: readonly ChatMessage[],
  sampling: Sampling,
  signal: AbortSignal,
): Promise<SampledAnswer> {
  let text = "";
  let ended = false;
  const request = { messages, sampling, maxTokens: MAX_ANSWER_TOKENS, stop: [], adapter: null };
  for await (const event of backend.generate({ ...request, signal })) {
    if (event.type === "text") text += event.text;
    if (event.type === "end") ended = event.reason === "stop";
  }
  signal.throwIfAborted();
  return { text: text.trim(), ended };
}
