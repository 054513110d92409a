import { describe, expect, it } from "vitest";
import { isCoded } from "#engine/base/errors.ts";
import { LLAMAGUARD3, QWEN3GUARD } from "#engine/moderation/guard-format.ts";
import { readVerdict } from "#engine/moderation/guard-verdict.ts";
import { answered, qwenAnswer } from "./scripted-guard.ts";

describe("a guard's verdict", () => {
  it("is weighed by the first verdict token, whatever was drawn", async () => {
    const shares = { Safe: 0.5, Controversial: 0.1, Unsafe: 0.2 };
    const verdict = await readVerdict(answered(qwenAnswer(shares)), QWEN3GUARD);
    expect(verdict.probabilities.safe).toBeCloseTo(0.5 / 0.8);
    expect(verdict.probabilities.controversial).toBeCloseTo(0.1 / 0.8);
    expect(verdict.probabilities.unsafe).toBeCloseTo(0.2 / 0.8);
  });

  it("names the hazards that the answer goes on to name", async () => {
    const answer = qwenAnswer({ Unsafe: 0.9, Safe: 0.1 }, "Violent, PII");
    expect((await readVerdict(answered(answer), QWEN3GUARD)).hazards).toEqual(["S1", "S7"]);
  });

  it("is read from the first pieces of verdicts that are several tokens long", async () => {
    const tokens = [
      ["Safety"],
      [":"],
      [" Cont", { " Cont": 0.6, " Un": 0.3, " Safe": 0.1 }],
      ["roversial"],
      ["\nCategories: Unethical Acts"],
    ] as const;
    const verdict = await readVerdict(answered(tokens), QWEN3GUARD);
    expect(verdict.probabilities.controversial).toBeCloseTo(0.6);
    expect(verdict.probabilities.unsafe).toBeCloseTo(0.3);
    expect(verdict.hazards).toEqual(["S10"]);
  });

  it("is Llama Guard's first word after its line breaks", async () => {
    const tokens = [["\n\n"], ["unsafe", { unsafe: 0.8, safe: 0.2 }], ["\nS9"]] as const;
    const verdict = await readVerdict(answered(tokens), LLAMAGUARD3);
    expect(verdict).toEqual({
      probabilities: { safe: expect.closeTo(0.2), controversial: 0, unsafe: expect.closeTo(0.8) },
      hazards: ["S9"],
    });
  });

  it("ends the answer early where it is surely safe", async () => {
    let left = false;
    async function* events() {
      try {
        yield* answered(qwenAnswer({ Safe: 1 }));
      } finally {
        left = true;
      }
      throw new Error("read to the end");
    }
    const verdict = await readVerdict(events(), QWEN3GUARD);
    expect(verdict).toMatchObject({ probabilities: { safe: 1 }, hazards: [] });
    expect(left).toBe(true);
  });

  it.each([
    ["other words", [["I", { I: 0.9 }], [" cannot"]]],
    ["a format that is not its own", [["safe"], ["\n"]]],
    ["no likely verdict", [["Safety"], [":"], [" Maybe", { " Maybe": 0.99, " Safe": 0.01 }]]],
    ["nothing", []],
  ] as const)("is missing where the model says %s", async (_, tokens) => {
    const error = await readVerdict(answered(tokens), QWEN3GUARD).catch((e: unknown) => e);
    expect(isCoded(error, "guard_failed")).toBe(true);
  });
});
