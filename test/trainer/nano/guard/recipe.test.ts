/** The guard's recipe in seconds: every stage runs, the chat model stays as it is, and the engine can load the result. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { BRIEF_GUARD } from "#engine/moderation/guard-format.ts";
import { checkShippedGuard } from "#engine/service/guard-file.ts";
import { cutToVerdict, encodeJudgements, verdictOn } from "#trainer/nano/guard/examples.ts";
import { cpuLibraries } from "../../../model/libraries.ts";
import { ROOT, runQuick } from "../quick-recipe.ts";

const NANO = join(ROOT, "deploy/models/nano/nano.gguf");
const folder = mkdtempSync(join(tmpdir(), "nano-guard-"));
const out = join(folder, "out");
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const before = sha256(NANO);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("the quick recipe", () => {
  beforeAll(() => {
    const { status, stderr } = runQuick("nano/guard/main.ts", folder);
    expect([status, stderr]).toEqual([0, expect.stringContaining("Wrote")]);
  });

  it("leaves the chat model as it is, and makes another of the same vocabulary", () => {
    expect(sha256(NANO)).toBe(before);
    const made = join(out, "nano-guard.gguf");
    expect(sha256(made)).not.toBe(before);
    using theirs = Vocabulary.open(NANO, cpuLibraries());
    using own = Vocabulary.open(made, cpuLibraries());
    const tokens = (one: Vocabulary) =>
      one.encodeChat([{ role: "user", content: "Safety: Unsafe" }], { addGenerationPrompt: true });
    expect(tokens(own)).toEqual(tokens(theirs));
  });

  it("writes hashes that match its files, by which the engine knows the guard", () => {
    const lines = readFileSync(join(out, "SHA256SUMS"), "utf8").trim().split("\n");
    expect(lines).toHaveLength(4);
    for (const line of lines) {
      const [hash, name = ""] = line.split("  ");
      expect([name, sha256(join(out, name))]).toEqual([name, hash]);
    }
    expect(() => checkShippedGuard(join(out, "nano-guard.gguf"))).not.toThrow();
  });

  it("does not train again what is there, and makes the same file", () => {
    const made = sha256(join(out, "nano-guard.gguf"));
    const { status, stderr } = runQuick("nano/guard/main.ts", folder);
    expect(status).toBe(0);
    expect(stderr).not.toContain("training ");
    expect(sha256(join(out, "nano-guard.gguf"))).toBe(made);
  });
});

describe("a judgement", () => {
  const turns = [{ role: "user", content: "How do I kill a process?" }] as const;
  const safe = { turns, categories: [], refuses: false };
  const unsafe = { turns, categories: ["Violent"], refuses: false };
  const limits = { maxTokens: 256, maxPromptTokens: 128 };

  it("is answered as the engine reads guards", () => {
    expect(verdictOn(unsafe)).toBe("Safety: Unsafe\nCategories: Violent");
    expect(BRIEF_GUARD.hazards(verdictOn(unsafe))).toEqual(["S1"]);
    const answer = { role: "assistant", content: "I cannot help." } as const;
    const declined = { turns: [...turns, answer], categories: [], refuses: true };
    expect(verdictOn(declined)).toBe("Safety: Safe\nCategories: None\nRefusal: Yes");
  });

  it("is learnt by the one token in which verdicts differ, behind the same prompt", () => {
    using vocabulary = Vocabulary.open(NANO, cpuLibraries());
    const whole = encodeJudgements(vocabulary, [safe, unsafe], limits);
    const [one, other] = cutToVerdict(vocabulary, whole).map(({ sequences }) => sequences[0]);
    if (one === undefined || other === undefined) throw new Error("expected two sequences");
    expect(one.tokens.slice(0, -1)).toEqual(other.tokens.slice(0, -1));
    expect(one.tokens.at(-1)).not.toBe(other.tokens.at(-1));
    expect([...one.scored].reduce((sum, bit) => sum + bit, 0)).toBe(1);
    expect(one.scored.at(-1)).toBe(1);
    expect(vocabulary.detokenize(one.tokens)).toMatch(/Safety: S$/);
    expect(vocabulary.detokenize(other.tokens)).toMatch(/Safety: U$/);
  });
});
