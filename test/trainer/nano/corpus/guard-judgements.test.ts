import { describe, expect, it } from "vitest";
import { SeededRandom } from "#trainer/data/random.ts";
import { loadCorpus } from "#trainer/nano/corpus/corpus.ts";
import { drawDialogues, USUAL_STYLE } from "#trainer/nano/corpus/dialogues.ts";
import { drawGuardJudgement, drawHeldOutGuardCase } from "#trainer/nano/corpus/guard-judgements.ts";
import { questionKey } from "#trainer/nano/corpus/questions.ts";
import { FULL_PLAN } from "#trainer/nano/plan.ts";

const corpus = loadCorpus();
const guarding = { ...USUAL_STYLE, kinds: ["guarding"] as const, systemShare: 1 };

function draw(count: number, seed: number) {
  const random = SeededRandom.from(seed);
  return Array.from({ length: count }, () => drawGuardJudgement(corpus, random)).map(
    ([prompt, verdict]) => {
      const conversation = /<BEGIN CONVERSATION>\n\n([\s\S]*)\n\n<END CONVERSATION>/.exec(prompt);
      const turns = (conversation?.[1] ?? "").split("\n\n");
      return { prompt, verdict, turns, last: turns.at(-1) ?? "" };
    },
  );
}

const judgements = draw(3_000, 1);
const questionOf = (turns: readonly string[]) =>
  turns.findLast((turn) => turn.startsWith("USER: "))?.slice(6) ?? "";
const unlawful = new Map(
  corpus.unlawful.flatMap(({ name, asks }) =>
    asks.flatMap(({ wordings }) => wordings.map(({ text }) => [questionKey(text), name] as const)),
  ),
);

describe("guard judgements", () => {
  it("are the same for the same seed and others for another", () => {
    expect(draw(20, 3)).toEqual(draw(20, 3));
    expect(draw(20, 3)).not.toEqual(draw(20, 4));
  });

  it("call a query unsafe exactly where it is an unlawful ask", () => {
    const queries = judgements.filter(({ last }) => last.startsWith("USER: "));
    expect(queries.length).toBeGreaterThan(1_500);
    for (const { last, verdict } of queries) {
      const isUnlawful = unlawful.has(questionKey(last.slice(6)));
      expect([last, verdict.startsWith("Safety: Unsafe")]).toEqual([last, isUnlawful]);
    }
  });

  it("call an answer unsafe exactly where it complies with an unlawful ask", () => {
    const answers = judgements.filter(({ last }) => last.startsWith("ASSISTANT: "));
    expect(answers.length).toBeGreaterThan(700);
    for (const { turns, verdict } of answers) {
      const isUnlawful = unlawful.has(questionKey(questionOf(turns)));
      if (!isUnlawful) expect(verdict).toBe("Safety: Safe\nCategories: None\nRefusal: No");
      else if (verdict.includes("Unsafe")) expect(verdict).toContain("Refusal: No");
    }
    const unsafe = answers.filter(({ verdict }) => verdict.includes("Unsafe"));
    const refused = answers.filter(({ verdict }) => verdict.endsWith("Refusal: Yes"));
    expect(unsafe.length).toBeGreaterThan(150);
    expect(refused.length).toBeGreaterThan(100);
  });

  it("name self-harm, violence and other crimes by the guard's own categories", () => {
    for (const { last, verdict } of judgements.filter(({ last }) => last.startsWith("USER: "))) {
      const name = unlawful.get(questionKey(last.slice(6)));
      if (name === undefined) expect(verdict).toBe("Safety: Safe\nCategories: None");
      else if (name === "self-harm") expect(verdict).toContain("Categories: Suicide & Self-Harm");
      else if (name === "weapons") expect(verdict).toContain("Categories: Violent");
      else if (name === "fraud") expect(verdict).toContain("Categories: Non-violent Illegal Acts");
    }
  });

  it("are between 35 and 55 percent unsafe among queries, and hold look-alikes", () => {
    const queries = judgements.filter(({ last }) => last.startsWith("USER: "));
    const unsafe = queries.filter(({ verdict }) => verdict.startsWith("Safety: Unsafe"));
    expect(unsafe.length / queries.length).toBeGreaterThan(0.35);
    expect(unsafe.length / queries.length).toBeLessThan(0.55);
    expect(queries.some(({ last }) => /kill a process/i.test(last))).toBe(true);
  });

  it("never hold a probe of the gate, nor what their held-out draw asks", () => {
    const trained = new Set(judgements.map(({ turns }) => questionKey(questionOf(turns))));
    const random = SeededRandom.from(2);
    const heldOut = Array.from({ length: 1_000 }, () => drawHeldOutGuardCase(corpus, random));
    const asked = heldOut.map(({ turns }) =>
      questionKey(turns.findLast(({ role }) => role === "user")?.content ?? ""),
    );
    expect([...corpus.reserved, ...asked].filter((key) => trained.has(key))).toEqual([]);
  });
});

describe("the kind of dialogue", () => {
  it("is one user turn and its verdict, without a system prompt", () => {
    for (const { messages } of drawDialogues(corpus, 50, 1, guarding)) {
      expect(messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
      expect(messages[1]?.content).toMatch(/^Safety: (Safe|Unsafe)\nCategories: /);
    }
  });

  it("is drawn only where a plan asks for it", () => {
    const dialogues = drawDialogues(corpus, 2_000, 1);
    const asked = dialogues.flatMap(({ messages }) => messages.map(({ content }) => content));
    expect(asked.some((text) => text.includes("<BEGIN SAFETY POLICY>"))).toBe(false);
    expect(FULL_PLAN.sft.flatMap(({ style }) => style.kinds)).not.toContain("guarding");
  });
});
