/** Asks a backend and collects its events, for tests. */
import type { Backend, GenerateEvent, GenerateRequest } from "#engine/backends/backend.ts";

/** A whole completion. */
export type Answer = {
  readonly text: string;
  readonly tokenIds: readonly number[];
  /** How much likelier the chosen token was than the runner-up, natural logarithm, for each token. */
  readonly leads: readonly number[];
  readonly end: Extract<GenerateEvent, { type: "end" }>;
  readonly adapter: string | null;
};

/** A greedy request of 24 tokens unless told otherwise. */
export function request(content: string, more: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    messages: [{ role: "user", content }],
    sampling: { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 1 },
    maxTokens: 24,
    stop: [],
    topLogprobs: 2,
    adapter: null,
    signal: new AbortController().signal,
    ...more,
  };
}

/** Runs a request to its end. */
export async function ask(backend: Backend, asked: GenerateRequest): Promise<Answer> {
  let text = "";
  let adapter: string | null = null;
  const tokenIds: number[] = [];
  const leads: number[] = [];
  for await (const event of backend.generate(asked)) {
    if (event.type === "start") adapter = event.adapter;
    if (event.type === "end") return { text, tokenIds, leads, end: event, adapter };
    if (event.type !== "text") continue;
    text += event.text;
    tokenIds.push(...event.tokenIds);
    for (const { top } of event.logprobs ?? []) {
      leads.push((top[0]?.logprob ?? 0) - (top[1]?.logprob ?? Number.NEGATIVE_INFINITY));
    }
  }
  throw new Error("the completion had no end");
}

/**
 * Whether two greedy answers are the same, up to where rounding alone may part them: another batch shape takes
 * other kernels, so a token whose lead is below 1e-3 may fall either way, and all after it with it.
 */
export function sameGreedyAnswer(a: Answer, b: Answer): boolean {
  const length = Math.max(a.tokenIds.length, b.tokenIds.length);
  for (let i = 0; i < length; i += 1) {
    if (a.tokenIds[i] !== b.tokenIds[i]) return (a.leads[i] ?? Number.POSITIVE_INFINITY) < 1e-3;
  }
  return a.text === b.text && a.end.reason === b.end.reason;
}
