/**
 * Judgements as sequences to learn: what the guard is asked, in the format that the engine asks in, and its
 * verdict. It draws nothing.
 */
import type { Vocabulary } from "#engine/llama/vocabulary.ts";
import { BRIEF_GUARD } from "#engine/moderation/guard-format.ts";
import { encodeDialogues, type LengthLimits } from "../../data/chat.ts";
import type { Dialogue } from "../../data/preference.ts";
import type { Example } from "../../data/sequence.ts";
import type { Labelled } from "../corpus/guard/judgements.ts";

const SHORT_TOKENS = 256;
const EMPTY = { tokens: new Int32Array(), scored: new Uint8Array() };

/** What the guard should answer, as `BRIEF_GUARD` reads it. */
export function verdictOn({ turns, categories, refuses }: Labelled): string {
  const isSafe = categories.length === 0;
  const lines = [
    `Safety: ${isSafe ? "Safe" : "Unsafe"}`,
    `Categories: ${isSafe ? "None" : categories.join(", ")}`,
  ];
  if (turns.at(-1)?.role === "assistant") lines.push(`Refusal: ${refuses ? "Yes" : "No"}`);
  return lines.join("\n");
}

/** The sequences; every token of the verdicts' lines is scored. */
export function encodeJudgements(
  vocabulary: Vocabulary,
  judgements: readonly Labelled[],
  limits: LengthLimits,
): readonly Example[] {
  const dialogues = judgements.map(
    (one, index): Dialogue => ({
      id: `judgement-${index}`,
      messages: [
        { role: "user", content: BRIEF_GUARD.prompt(one.turns) },
        { role: "assistant", content: verdictOn(one) },
      ],
    }),
  );
  return encodeDialogues(vocabulary, dialogues, limits).examples;
}

/**
 * The examples up to the token that tells one verdict from another, which alone is scored.
 * @throws Error where the vocabulary begins all verdicts alike
 */
export function cutToVerdict(vocabulary: Vocabulary, examples: readonly Example[]): Example[] {
  const place = verdictPlace(vocabulary);
  return examples.map((example) => ({
    ...example,
    sequences: example.sequences.map(({ tokens, scored }) => {
      const verdict = scored.indexOf(1) + place;
      const mask = new Uint8Array(verdict + 1);
      mask[verdict] = 1;
      return { tokens: tokens.slice(0, verdict + 1), scored: mask };
    }),
  }));
}

/** How many tokens of an answer are the same whatever the verdict. */
function verdictPlace(vocabulary: Vocabulary): number {
  const turns = [{ role: "user", content: "hello" }] as const;
  const both: readonly Labelled[] = [
    { turns, categories: [], refuses: false },
    { turns, categories: ["Violent"], refuses: false },
  ];
  const limits = { maxTokens: SHORT_TOKENS, maxPromptTokens: SHORT_TOKENS / 2 };
  const [safe, unsafe] = encodeJudgements(vocabulary, both, limits).map(({ sequences }) => {
    const [{ tokens, scored } = EMPTY] = sequences;
    return tokens.subarray(scored.indexOf(1));
  });
  const place = safe?.findIndex((token, index) => token !== unsafe?.[index]) ?? -1;
  if (place < 0) throw new Error("expected verdicts that differ, got the same tokens for both");
  return place;
}
