/**
 * Fixed refusal pairs that go into every training run, so that a community's taste cannot wear the
 * refusals down: the bare model's own refusal of an unlawful ask over a generic compliance. Its own
 * words keep its style; nothing of people's is in them.
 */

import type { ChatMessage } from "#engine/backends/backend.ts";
import type { PreferencePair } from "../data/preference.ts";
import { type Answering, generateAnswer, mapBounded } from "../judge/generation.ts";
import type { RefusalJudge } from "../judge/refusal-judge.ts";
import { pairId, promptKey } from "./pair.ts";

/** Of the pairs to train on; a small data set must not drown in anchors. */
const ANCHOR_SHARE = 0.2;

/** What the anchors are made with. */
export type AnchorSource = {
  readonly backend: Answering;
  readonly systemPrompt: string;
  readonly refuses: RefusalJudge;
  readonly asks: readonly string[];
  readonly compliances: readonly string[];
  readonly maxTokens: number;
  readonly signal: AbortSignal;
};

/**
 * Makes anchors for a data set of `trainPairs` pairs: at most a fifth as many, at most one an ask.
 * Asks that the bare model does not refuse give none.
 */
export async function makeAnchors(
  source: AnchorSource,
  trainPairs: number,
): Promise<readonly PreferencePair[]> {
  const wanted = Math.ceil(trainPairs * ANCHOR_SHARE);
  const asks = source.asks.slice(0, wanted);
  const made = await mapBounded(asks, source.backend.info.streams, (ask, index) =>
    makeAnchor(source, ask, source.compliances[index % source.compliances.length] ?? ""),
  );
  return made.filter((pair) => pair !== undefined);
}

async function makeAnchor(
  { backend, systemPrompt, refuses, maxTokens, signal }: AnchorSource,
  ask: string,
  compliance: string,
): Promise<PreferencePair | undefined> {
  const prompt: ChatMessage[] = [{ role: "user", content: ask }];
  const messages: ChatMessage[] = [{ role: "system", content: systemPrompt }, ...prompt];
  const request = { messages, adapter: null, temperature: 0, seed: 0, maxTokens };
  const answer = await generateAnswer(backend, request, signal);
  if (!answer.ended || !(await refuses(ask, answer.text))) return undefined;
  const id = `anchor-${pairId(promptKey(prompt), answer.text, compliance)}`;
  return { id, prompt, chosen: answer.text, rejected: compliance, weight: 1 };
}
