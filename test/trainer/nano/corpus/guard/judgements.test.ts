import { describe, expect, it } from "vitest";
import { SeededRandom } from "#trainer/data/random.ts";
import { loadCorpus } from "#trainer/nano/corpus/corpus.ts";
import {
  drawLabelled,
  type GuardSplit,
  type Labelled,
} from "#trainer/nano/corpus/guard/judgements.ts";
import { loadGuardTables } from "#trainer/nano/corpus/guard/tables.ts";
import { questionKey } from "#trainer/nano/corpus/questions.ts";

const corpus = { ...loadCorpus(), ...loadGuardTables() };
const wide = { ...corpus, wordings: "wide" as const };

function draw(count: number, seed: number, split: GuardSplit = "trained"): Labelled[] {
  const random = SeededRandom.from(seed);
  return Array.from({ length: count }, () => drawLabelled(wide, random, split));
}

const drawn = draw(4_000, 1);
const last = ({ turns }: Labelled) => turns.at(-1);
const queries = drawn.filter((one) => last(one)?.role === "user");
const answers = drawn.filter((one) => last(one)?.role === "assistant");
const questionOf = ({ turns }: Labelled) =>
  turns.findLast(({ role }) => role === "user")?.content ?? "";
const isUnsafe = ({ categories }: Labelled) => categories.length > 0;

/** Whether the question is in a table, as a harmful one or as a harmless one; not if it is typed carelessly. */
const isKnown = (one: Labelled, harmful: boolean) => {
  const key = questionKey(questionOf(one));
  return verdicts.has(key) && (verdicts.get(key) !== undefined) === harmful;
};

/** All wordings with the verdict that the tables give them. */
const verdicts = new Map<string, string | undefined>([
  ...corpus.unlawful.flatMap(({ name, asks }) =>
    asks.flatMap(({ wordings }) => wordings.map(({ text }) => [questionKey(text), name] as const)),
  ),
  ...corpus.contrasts.flatMap(({ category, wordings }) =>
    wordings.map(({ text }) => [questionKey(text), category] as const),
  ),
]);

describe("guard judgements", () => {
  it("are the same for the same seed and others for another", () => {
    expect(draw(20, 3)).toEqual(draw(20, 3));
    expect(draw(20, 3)).not.toEqual(draw(20, 4));
  });

  it("call a query unsafe exactly where a table calls it harmful", () => {
    const known = queries.filter((one) => verdicts.has(questionKey(questionOf(one))));
    expect(known.length).toBeGreaterThan(1_000);
    for (const one of known) {
      const isHarmful = verdicts.get(questionKey(questionOf(one))) !== undefined;
      expect([questionOf(one), isUnsafe(one)]).toEqual([questionOf(one), isHarmful]);
    }
  });

  it("call no answer unsafe that declines", () => {
    expect(answers.filter((one) => one.refuses && isUnsafe(one))).toEqual([]);
    expect(answers.filter(({ refuses }) => refuses).length).toBeGreaterThan(150);
  });

  it("call an answer to a harmless question unsafe only where it tells how to do harm", () => {
    const harms = [
      ...corpus.unlawful.flatMap(({ asks }) => asks.map(({ text }) => text)),
      ...corpus.contrasts.filter(({ category }) => category !== undefined).map(({ text }) => text),
    ];
    const unsafe = answers.filter((one) => isUnsafe(one) && isKnown(one, false));
    expect(unsafe.length).toBeGreaterThan(30);
    for (const one of unsafe) {
      const said = last(one)?.content ?? "";
      expect([said, harms.some((harm) => said.includes(harm))]).toEqual([said, true]);
    }
  });

  it("call an answer to a harmful question safe only where it declines, comforts or does not know", () => {
    const safe = answers.filter((one) => !isUnsafe(one) && isKnown(one, true));
    expect(safe.length).toBeGreaterThan(150);
    const other = safe.filter((one) => !one.refuses).map((one) => last(one)?.content ?? "");
    expect(
      other.filter((said) => !/not know|not learned|sorry|hurts to hear|alone/.test(said)),
    ).toEqual([]);
  });

  it("offer help with harmless tasks in the words of those who help with harmful ones", () => {
    const offers = answers.filter((one) =>
      /^(Here is a simple plan to|Yes, I can help you|The trick to|Okay, let us) /.test(
        last(one)?.content ?? "",
      ),
    );
    expect(new Set(offers.map(isUnsafe))).toEqual(new Set([true, false]));
  });

  it("name self-harm, violence and other crimes by the guard's own categories", () => {
    const named = (category: string) =>
      queries.filter(({ categories }) => categories.includes(category)).map(questionOf);
    const known = (question: string) => verdicts.get(questionKey(question));
    const of = (category: string) => new Set(named(category).flatMap((one) => known(one) ?? []));
    expect(of("Suicide & Self-Harm")).toEqual(new Set(["self-harm", "Suicide & Self-Harm"]));
    expect(of("Violent")).toEqual(new Set(["weapons", "violence", "Violent"]));
    expect(of("Non-violent Illegal Acts")).toContain("fraud");
  });

  it("are between 40 and 55 percent unsafe among queries, and hold look-alikes", () => {
    const share = queries.filter(isUnsafe).length / queries.length;
    expect(share).toBeGreaterThan(0.4);
    expect(share).toBeLessThan(0.55);
    expect(queries.some((one) => /kill a process/i.test(questionOf(one)))).toBe(true);
  });

  it("hold passages as they are checked while an answer is written", () => {
    const lengths = answers.map((one) => last(one)?.content.length ?? 0);
    const cut = answers.filter((one) => !/[.!?]$/.test(last(one)?.content ?? ""));
    expect(cut.length).toBeGreaterThan(100);
    expect(Math.min(...cut.map((one) => last(one)?.content.length ?? 0))).toBeGreaterThanOrEqual(
      100,
    );
    expect(Math.max(...lengths)).toBeLessThan(600);
  });
});

describe("what is held out", () => {
  it("is never trained on, nor is a probe of the gate", () => {
    const trained = new Set(drawn.map((one) => questionKey(questionOf(one))));
    const reserved = [...corpus.reserved].filter((key) => trained.has(key));
    expect(reserved).toEqual([]);
    for (const split of ["wordings", "asks"] as const) {
      const asked = draw(1_000, 2, split).map((one) => questionKey(questionOf(one)));
      expect(asked.filter((key) => trained.has(key))).toEqual([]);
    }
  });

  it("holds asks that are trained on in no wording", () => {
    const asks = [...corpus.unlawful.flatMap((category) => category.asks), ...corpus.contrasts];
    const keys = (some: typeof asks) =>
      some.flatMap(({ wordings }) => wordings.map(({ text }) => questionKey(text)));
    // An ask may stand in two tables, and be kept from training in one of them alone.
    const known = new Set(keys(asks.filter((ask) => !ask.unseen)));
    const unseen = new Set(keys(asks.filter((ask) => ask.unseen)).filter((key) => !known.has(key)));
    expect(unseen.size).toBeGreaterThan(500);
    expect(drawn.filter((one) => unseen.has(questionKey(questionOf(one))))).toEqual([]);
    const harmful = draw(400, 5, "asks").filter((one) => isUnsafe(one));
    const exact = harmful.filter((one) => unseen.has(questionKey(questionOf(one))));
    expect(exact.length / harmful.length).toBeGreaterThan(0.8);
  });

  it("holds answers in forms that were never trained", () => {
    const forms = Object.values(corpus.forms).flat();
    const held = forms.filter(({ heldOut }) => heldOut).map(({ text }) => text.split("{do}")[0]);
    const said = answers.map((one) => last(one)?.content ?? "");
    expect(held.length).toBeGreaterThan(15);
    const taught = held.filter(
      (text = "") => text.length > 8 && said.some((one) => one.includes(text)),
    );
    expect(taught).toEqual([]);
  });
});
