import { expect, test } from "vitest";
import { measureLikelihood, type ScoringModel } from "#trainer/gate/likelihood.ts";
import type { EvidencedPair } from "#trainer/pairs/pair.ts";

const EOS = 2;

/** One token a letter, with every turn ended by EOS: enough of a template to count by hand. */
const vocabulary = {
  eos: EOS,
  encodeChat(
    messages: readonly { content: string }[],
    { addGenerationPrompt }: { addGenerationPrompt: boolean },
  ): Int32Array {
    const turns = messages.flatMap(({ content }) => [...lettersOf(content), EOS]);
    return Int32Array.from([1, ...turns, ...(addGenerationPrompt ? [3] : [])]);
  },
};

function lettersOf(text: string): number[] {
  return [...text].map((letter) => letter.charCodeAt(0));
}

/** A model whose tokens all have the same log-probability, but those of one letter with the adapter. */
function model(letter: string, shift: number): ScoringModel {
  const favoured = letter.charCodeAt(0);
  return {
    logps: async (batch, options) =>
      batch.map(({ tokens, scored }) =>
        Float32Array.from(tokens, (token, i) => {
          const bonus = options?.reference !== true && token === favoured ? shift : 0;
          return scored[i] === 1 ? -1 + bonus : 0;
        }),
      ),
  };
}

function pair(id: string, chosen: string, rejected: string): EvidencedPair {
  return {
    id,
    prompt: [{ role: "user", content: "q" }],
    promptKey: id,
    chosen,
    rejected,
    weight: 1,
    personKeys: ["asker"],
    origin: "feedback",
    evidence: { candidateIds: [], exchangeIds: [], raterKeys: [] },
    atMs: 0,
    votedAtMs: 0,
  };
}

test("figures are those worked out by hand", async () => {
  const heldOut = [pair("right", "aa", "bb"), pair("wrong", "b", "a"), pair("tie", "cc", "dd")];
  const figures = await measureLikelihood(model("a", 0.25), {
    vocabulary,
    heldOut,
    unseen: heldOut.slice(0, 1),
    keepSet: [
      {
        id: "k",
        messages: [
          { role: "user", content: "q" },
          { role: "assistant", content: "aab" },
        ],
      },
    ],
    limits: { maxTokens: 64, maxPromptTokens: 32 },
  });
  expect(figures.preferred).toEqual({ count: 1, total: 3 });
  expect(figures.preferredByUnseenRaters).toEqual({ count: 1, total: 1 });
  // Chosen answers gain 2 × 0.25, 0 and 0.
  expect(figures.chosenLogpShift).toBeCloseTo(0.5 / 3, 6);
  // a, a, b, </s>: four tokens at 1 nat each, two of them 0.25 likelier with the adapter.
  expect(figures.baseKeepNll).toBeCloseTo(1, 6);
  expect(figures.keepNll).toBeCloseTo((0.75 + 0.75 + 1 + 1) / 4, 6);
});
