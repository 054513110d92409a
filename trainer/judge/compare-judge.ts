/** Which of two answers the bare model prefers. It knows nothing of who gave them, or of adapters. */
import type { ChatMessage } from "#engine/backends/backend.ts";
import { fillPrompt, type Prompt } from "#prompts/load.ts";
import { type Answering, firstTokenOdds } from "./generation.ts";

/** The verdict on two answers; `undecided` also when the order in which they are shown decides. */
type Preference = "first" | "second" | "undecided";

/** Judges two answers to a conversation's last question. */
export type CompareJudge = (
  messages: readonly ChatMessage[],
  first: string,
  second: string,
) => Promise<Preference>;

/**
 * A judge by the probability of the first verdict token, asked in both orders, which must agree:
 * judges favour a position (MT-Bench, arXiv 2306.05685 §3.3).
 * @param prompt prompts/judge/compare.md
 */
export function modelCompareJudge(
  backend: Answering,
  prompt: Prompt,
  signal: AbortSignal,
): CompareJudge {
  const verdicts = { yes: "A", no: "B" };
  const odds = (question: string, a: string, b: string) =>
    firstTokenOdds(backend, fillPrompt(prompt, { question, a, b }), verdicts, signal);
  return async (messages, first, second) => {
    const question = asQuestion(messages);
    const [firstShownFirst, secondShownFirst] = await Promise.all([
      odds(question, first, second),
      odds(question, second, first),
    ]);
    if (firstShownFirst === undefined || secondShownFirst === undefined) return "undecided";
    if (firstShownFirst > 0.5 && secondShownFirst < 0.5) return "first";
    if (firstShownFirst < 0.5 && secondShownFirst > 0.5) return "second";
    return "undecided";
  };
}

/** A conversation as one text for a judge: the question alone, or all turns with who spoke. */
export function asQuestion(messages: readonly ChatMessage[]): string {
  const turns = messages.filter(({ role }) => role !== "system");
  const [only] = turns;
  if (turns.length === 1 && only !== undefined) return only.content;
  return turns.map(({ role, content }) => `${role}: ${content}`).join("\n");
}
