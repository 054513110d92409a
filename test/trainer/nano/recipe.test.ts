import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { loadCorpus } from "#trainer/nano/corpus/corpus.ts";
import { drawDialogues } from "#trainer/nano/corpus/dialogues.ts";
import { FULL_PLAN, QUICK_PLAN } from "#trainer/nano/plan.ts";
import { Tokenizer } from "#trainer/nano/tokenizer/encode.ts";
import { learnVocabulary } from "#trainer/nano/tokenizer/learn.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { runQuick } from "./quick-recipe.ts";

const folder = mkdtempSync(join(tmpdir(), "nano-"));
const out = join(folder, "out");
const libraries = cpuLibraries();

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("the quick recipe", () => {
  beforeAll(() => {
    const { status, stderr } = runQuick("nano/main.ts", folder);
    expect([status, stderr]).toEqual([0, expect.stringContaining("Wrote")]);
  });

  it("makes a GGUF that libllama loads, with Zephyr's template and byte fallback", () => {
    using vocabulary = Vocabulary.open(join(out, "nano.gguf"), libraries);
    const chat = vocabulary.encodeChat([{ role: "user", content: "Hello 🌋" }], {
      addGenerationPrompt: true,
    });
    expect(chat[0]).toBe(vocabulary.bos);
    expect([...chat]).toContain(vocabulary.eos);
    expect(vocabulary.detokenize(chat)).toContain("Hello 🌋");
    using file = GgufFile.open(join(out, "nano.gguf"), libraries);
    expect(file.string("general.architecture")).toBe("llama");
  });

  it("writes hashes that match its files", () => {
    const lines = readFileSync(join(out, "SHA256SUMS"), "utf8").trim().split("\n");
    expect(lines).toHaveLength(4);
    for (const line of lines) {
      const [hash = "", name = ""] = line.split("  ");
      expect(
        createHash("sha256")
          .update(readFileSync(join(out, name)))
          .digest("hex"),
      ).toBe(hash);
    }
  });

  it("logs every stage with its time, and the losses of those that train", () => {
    const log = readFileSync(join(out, "train-log.jsonl"), "utf8");
    const lines: Record<string, unknown>[] = log
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const stages = lines.filter((line) => "seconds" in line).map((line) => line["stage"]);
    const rounds = QUICK_PLAN.sft.map((_, round) => `sft-${round + 1}`);
    expect(stages).toEqual(["tokenizer", "pretrain", ...rounds, "dpo", "evaluation"]);
    expect(lines.some((line) => line["stage"] === "sft-1" && "eval_loss" in line)).toBe(true);
  });

  it("does not train again what is there, and makes the same file", () => {
    const before = readFileSync(join(out, "nano.gguf"));
    const { status, stderr } = runQuick("nano/main.ts", folder);
    expect(status).toBe(0);
    expect(stderr).not.toContain("training ");
    expect(readFileSync(join(out, "nano.gguf")).equals(before)).toBe(true);
  });
});

describe("the tokenizer", () => {
  it("gives the tokens that libllama gives, on the corpus and on strange text", () => {
    const dialogues = drawDialogues(loadCorpus(), 400, 9);
    const texts = dialogues.flatMap(({ messages }) =>
      messages.map(({ role, content }) => `<|${role}|>\n${content}`),
    );
    const table = learnVocabulary(texts, 1_500);
    const path = join(folder, "vocabulary.gguf");
    writeRandomModel(path, { libraries, vocabulary: table });
    using vocabulary = Vocabulary.open(path, libraries);
    const tokenizer = new Tokenizer(table);
    const strange = ["", "  two  spaces ", "naïve Ünïcödé 🌋", "a\n\n\tb", "12345 1/2", "</s>"];
    for (const text of [...texts.slice(0, 150), ...strange]) {
      const theirs = vocabulary.tokenize(text, { special: false, addBos: false });
      expect([text, tokenizer.encode(text)]).toEqual([text, [...theirs]]);
    }
  });
});

describe("the full plan", () => {
  it("is about five million parameters", () => {
    const { nLayer, nEmbd, nHead, nHeadKv, headDim, nFf } = FULL_PLAN.shape;
    const attention = 2 * nEmbd * nHead * headDim + 2 * nEmbd * nHeadKv * headDim;
    const parameters = nLayer * (attention + 3 * nEmbd * nFf) + FULL_PLAN.vocabularySize * nEmbd;
    expect(parameters).toBeGreaterThan(4.5e6);
    expect(parameters).toBeLessThan(5.5e6);
  });
});
