/**
 * The part of a conversation that goes into a prompt, counted by the model's own tokenizer. What no longer
 * fits is summed up by the model once, and remembered so.
 */
import type { ChatMessage } from "#engine/backends/backend.ts";
import { isCoded } from "#engine/base/errors.ts";
import { summaryRequest, summaryTokens, summaryTurn } from "../conversation/summary.ts";
import { estimateTokens, fitWindow, type Turn } from "../conversation/window.ts";
import { engineMetadata } from "./engine-metadata.ts";
import { promptBudget } from "./prompt.ts";
import type { Job } from "./question.ts";

/** When turns have to go, so many go that the next ones need not at once. */
const KEPT_SHARE = 0.7;
const SUMMARY_SAMPLING = { temperature: 0, seed: 0 } as const;

/** The turns to be asked with, oldest first, a summary of earlier ones in front. */
export async function recollect(
  job: Job,
  question: Turn,
  limits: { readonly systemPrompt: string; readonly contextTokens: number },
): Promise<readonly Turn[]> {
  const { conversation } = job.question;
  const turns = await job.parts.memory.turns(conversation);
  if (turns.length === 0) return [];
  const [taken, tokens] = await count(job, turns, question, limits.systemPrompt);
  const budget = promptBudget(limits.contextTokens) - taken;
  const whole = fitWindow(turns, budget, tokens);
  if (whole.length === turns.length) return whole;
  const maxTokens = summaryTokens(limits.contextTokens);
  const kept = fitWindow(turns, budget * KEPT_SHARE - maxTokens, tokens);
  const gone = turns.slice(0, turns.length - kept.length);
  const room = limits.contextTokens - 2 * maxTokens;
  const summary = await sumUp(job, fitWindow(gone, room, tokens), maxTokens);
  if (summary === undefined) return whole;
  await job.parts.memory.replaceOldest(conversation, gone, summary);
  return [summary, ...kept];
}

type TokensOf = (turn: Turn) => number;

/** Tokens of system prompt and question together, and of each turn. */
async function count(
  { parts, signal }: Job,
  turns: readonly Turn[],
  question: Turn,
  systemPrompt: string,
): Promise<readonly [taken: number, tokens: TokensOf]> {
  const messages: ChatMessage[] = [
    { role: "system", content: systemPrompt },
    ...[question, ...turns].map(({ role, content }) => ({ role, content })),
  ];
  const counts = await parts.engine
    .countTokens(
      messages.map((message) => [message]),
      signal,
    )
    .catch((error: unknown) => {
      if (!isCoded(error)) throw error;
      // Another engine may not count; then a cautious estimate does.
      return messages.map(({ content }) => estimateTokens(content));
    });
  const byTurn = new Map(turns.map((turn, index) => [turn, counts[index + 2] ?? 0]));
  return [(counts[0] ?? 0) + (counts[1] ?? 0), (turn) => byTurn.get(turn) ?? 0];
}

/** Undefined where the model gives none: then the turns are dropped, as if nobody had written it down. */
async function sumUp(
  { question, parts, signal }: Job,
  turns: readonly Turn[],
  maxTokens: number,
): Promise<Turn | undefined> {
  if (turns.length === 0) return undefined;
  const request = {
    messages: summaryRequest(turns),
    maxTokens,
    ...SUMMARY_SAMPLING,
    metadata: engineMetadata(question, undefined),
    signal,
  };
  try {
    let text = "";
    for await (const chunk of parts.engine.chat(request)) {
      if (chunk.type === "text") text += chunk.text;
      if (chunk.type === "end" && chunk.reason === "content_filter") return undefined;
    }
    return text.trim() === "" ? undefined : summaryTurn(text, turns, parts.newId());
  } catch (error) {
    if (!isCoded(error)) throw error;
    parts.log.warn({ err: error }, "a conversation could not be summed up");
    return undefined;
  }
}
