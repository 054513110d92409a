import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { renderZephyr, type TemplateMessage } from "#engine/llama/chat-template.ts";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";

const folder = mkdtempSync(join(tmpdir(), "vocabulary-"));
const path = join(folder, "random.gguf");
let vocabulary: Vocabulary;

beforeAll(() => {
  writeRandomModel(path, { libraries: cpuLibraries() });
  vocabulary = Vocabulary.open(path, cpuLibraries());
});

afterAll(() => {
  vocabulary[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

const role = fc.constantFrom("system" as const, "user" as const, "assistant" as const);
const harmless = fc.string({ unit: "binary" }).filter((text) => !/<(unk|s|\/s)>/.test(text));

describe("tokenize and detokenize", () => {
  test("a text comes back from its tokens, whatever characters it holds", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const tokens = vocabulary.tokenize(text, { special: false, addBos: true });
        expect(vocabulary.detokenize(tokens)).toBe(text);
      }),
    );
  });

  test("bytes of the tokens join to the text behind the space that SentencePiece puts in front", () => {
    const tokens = vocabulary.tokenize("hello 😀 é\0x", { special: false, addBos: false });
    const bytes = Buffer.concat([...tokens].map((id) => vocabulary.bytesOf(id)));
    expect(bytes.toString()).toBe(" hello 😀 é\0x");
  });

  test("the text of a control token is that token only where it is asked for", () => {
    const asToken = vocabulary.tokenize("</s>", { special: true, addBos: false });
    const asText = vocabulary.tokenize("</s>", { special: false, addBos: false });
    expect([...asToken]).toEqual([vocabulary.eos]);
    expect(asText).not.toContain(vocabulary.eos);
  });

  test("BOS stands in front where it is asked for", () => {
    expect(vocabulary.tokenize("a", { special: false, addBos: true })[0]).toBe(vocabulary.bos);
    expect(vocabulary.tokenize("a", { special: false, addBos: false })).not.toContain(
      vocabulary.bos,
    );
    expect([...vocabulary.tokenize("", { special: false, addBos: true })]).toEqual([
      vocabulary.bos,
    ]);
  });

  test("a token id outside the vocabulary is refused before libllama sees it", () => {
    for (const id of [-1, vocabulary.size, 1.5, Number.NaN]) {
      expect(() => vocabulary.bytesOf(id)).toThrow(RangeError);
      expect(() => vocabulary.detokenize([id])).toThrow(RangeError);
    }
  });

  test("control tokens have no bytes, and EOS ends generation", () => {
    expect(vocabulary.bytesOf(vocabulary.eos)).toHaveLength(0);
    expect(vocabulary.endsGeneration(vocabulary.eos)).toBe(true);
    expect(vocabulary.endsGeneration(vocabulary.bos)).toBe(false);
  });
});

describe("encodeChat", () => {
  const messagesOf = fc.array(fc.record({ role, content: harmless }), { maxLength: 5 });

  test("equals llama.cpp's tokens of the whole rendered text, BOS in front, </s> as EOS", () => {
    fc.assert(
      fc.property(messagesOf, fc.boolean(), (messages, addGenerationPrompt) => {
        const rendered = renderZephyr(messages, { addGenerationPrompt });
        expect(vocabulary.encodeChat(messages, { addGenerationPrompt })).toEqual(
          vocabulary.tokenize(rendered, { special: true, addBos: true }),
        );
      }),
    );
  });

  test("has exactly one EOS for each turn, even when people write </s>", () => {
    const hostile = fc.string({ unit: fc.constantFrom("<", "/", "s", ">", "</s>", "<s>", "\n") });
    fc.assert(
      fc.property(fc.array(fc.record({ role, content: hostile }), { maxLength: 4 }), (messages) => {
        const ids = vocabulary.encodeChat(messages, { addGenerationPrompt: false });
        expect([...ids].filter((id) => id === vocabulary.eos)).toHaveLength(messages.length);
        expect([...ids].filter((id) => id === vocabulary.bos)).toHaveLength(1);
      }),
    );
  });

  test("a conversation's tokens begin with those of its first turns, so that its KV can be kept", () => {
    const messages: TemplateMessage[] = [
      { role: "system", content: "Be kind." },
      { role: "user", content: "hello" },
    ];
    const first = vocabulary.encodeChat(messages, { addGenerationPrompt: true });
    const more = vocabulary.encodeChat(
      [...messages, { role: "assistant", content: "hi" }, { role: "user", content: "the end" }],
      { addGenerationPrompt: true },
    );
    expect([...more.subarray(0, first.length)]).toEqual([...first]);
  });
});

describe("open", () => {
  test("names a missing file", () => {
    expect(() => Vocabulary.open(join(folder, "none.gguf"), cpuLibraries())).toThrow(
      expect.objectContaining({ code: "model_missing" }),
    );
  });

  test("refuses a file that is no GGUF", () => {
    const other = join(folder, "other.gguf");
    writeFileSync(other, "not a model at all, just text");
    expect(() => Vocabulary.open(other, cpuLibraries())).toThrow(
      expect.objectContaining({ code: "model_invalid" }),
    );
  });

  test("a disposed vocabulary refuses to work instead of reading freed memory", () => {
    const closed = Vocabulary.open(path, cpuLibraries());
    closed[Symbol.dispose]();
    closed[Symbol.dispose]();
    expect(() => closed.tokenize("a", { special: false, addBos: false })).toThrow("disposed");
  });
});
