import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ChatMessage } from "#engine/backends/backend.ts";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { encodeDialogues, encodePairs } from "#trainer/data/chat.ts";
import type { Sequence } from "#trainer/model/trainable.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";

const libraries = cpuLibraries();
const path = join(mkdtempSync(join(tmpdir(), "chat-")), "model.gguf");
writeRandomModel(path, { libraries });
const vocabulary = Vocabulary.open(path, libraries);
const ROOMY = { maxTokens: 4096, maxPromptTokens: 2048 };

const system: ChatMessage = { role: "system", content: "Be kind." };
const user = (content: string): ChatMessage => ({ role: "user", content });
const assistant = (content: string): ChatMessage => ({ role: "assistant", content });

/** The text of the scored tokens, with `</s>` shown as `¶`. */
function learnt({ tokens, scored }: Sequence): string {
  return text(tokens.filter((_, i) => scored[i] === 1));
}

function text(tokens: Int32Array): string {
  const turns: number[][] = [[]];
  for (const token of tokens) {
    if (token === vocabulary.eos) turns.push([]);
    else turns.at(-1)?.push(token);
  }
  return turns.map((turn) => vocabulary.detokenize(turn)).join("¶");
}

function only(sequences: readonly Sequence[] | undefined): Sequence {
  const [sequence] = sequences ?? [];
  if (sequence === undefined) throw new Error("no sequence");
  return sequence;
}

test("in a dialogue exactly the assistant's turns and their </s> are learnt", () => {
  const messages = [
    system,
    user("hi"),
    assistant("Hello you!"),
    user("bye"),
    assistant("See you\nsoon"),
  ];
  const { examples, dropped } = encodeDialogues(vocabulary, [{ id: "d", messages }], ROOMY);
  expect(dropped).toEqual([]);
  const sequence = only(examples[0]?.sequences);
  expect(learnt(sequence)).toBe("Hello you!¶See you\nsoon¶");
  expect(sequence.tokens.at(-1)).toBe(vocabulary.eos);
  expect(sequence.tokens[0]).toBe(vocabulary.bos);
  expect(sequence.scored[0]).toBe(0);
});

test("what is learnt stands behind the very tokens that serving puts in front", () => {
  const messages = [user("hi"), assistant("Hello"), user("more"), assistant("Yes")];
  const sequence = only(
    encodeDialogues(vocabulary, [{ id: "d", messages }], ROOMY).examples[0]?.sequences,
  );
  const served = vocabulary.encodeChat(messages.slice(0, 3), { addGenerationPrompt: true });
  expect(sequence.tokens.subarray(0, served.length)).toEqual(served);
  expect(sequence.scored[served.length - 1]).toBe(0);
  expect(sequence.scored[served.length]).toBe(1);
});

test("a trailing question and a dialogue without an answer teach nothing", () => {
  const open = { id: "open", messages: [user("a"), assistant("b"), user("c")] };
  const none = { id: "none", messages: [user("a")] };
  const { examples, dropped } = encodeDialogues(vocabulary, [open, none], ROOMY);
  expect(learnt(only(examples[0]?.sequences))).toBe("b¶");
  expect(dropped).toEqual(["none"]);
});

test("a pair's two sequences share the prompt and are scored on the answers only", () => {
  const pair = { id: "p", prompt: [user("hi")], chosen: "Good", rejected: "Bad idea", weight: 0.5 };
  const [example] = encodePairs(vocabulary, [pair], ROOMY).examples;
  const [chosen, rejected] = example?.sequences ?? [];
  expect(example?.weight).toBe(0.5);
  expect([chosen, rejected].map((one) => learnt(only(one && [one])))).toEqual([
    "Good¶",
    "Bad idea¶",
  ]);
  const prompt = vocabulary.encodeChat(pair.prompt, { addGenerationPrompt: true });
  for (const one of [chosen, rejected]) {
    expect(one?.tokens.subarray(0, prompt.length)).toEqual(prompt);
  }
});

test("equal answers and an empty prompt are dropped", () => {
  const same = { id: "same", prompt: [user("hi")], chosen: "a", rejected: "a", weight: 1 };
  const bare = { id: "bare", prompt: [], chosen: "a", rejected: "b", weight: 1 };
  expect(encodePairs(vocabulary, [same, bare], ROOMY).dropped).toEqual(["same", "bare"]);
});

test("a long conversation loses its oldest exchange and keeps the system turn", () => {
  const old = [user("x".repeat(200)), assistant("y".repeat(200))];
  const pair = {
    id: "p",
    prompt: [system, ...old, user("now?")],
    chosen: "Yes",
    rejected: "No",
    weight: 1,
  };
  const limits = { maxTokens: 160, maxPromptTokens: 80 };
  const { examples, truncated } = encodePairs(vocabulary, [pair], limits);
  expect(truncated).toEqual(["p"]);
  const sequence = only(examples[0]?.sequences);
  const short = vocabulary.encodeChat([system, user("now?")], { addGenerationPrompt: true });
  expect(sequence.tokens.subarray(0, short.length)).toEqual(short);
  expect(learnt(sequence)).toBe("Yes¶");
});

test("one overlong question keeps the system turn and its own end", () => {
  const prompt = [system, user(`${"x".repeat(300)} why?`)];
  const pair = { id: "p", prompt, chosen: "Because", rejected: "Dunno", weight: 1 };
  const { examples } = encodePairs(vocabulary, [pair], { maxTokens: 120, maxPromptTokens: 90 });
  const sequence = only(examples[0]?.sequences);
  const systemTokens = vocabulary.encodeChat([system], { addGenerationPrompt: false });
  const head = sequence.tokens.subarray(0, Math.min(systemTokens.length, 45));
  expect(head).toEqual(systemTokens.subarray(0, head.length));
  expect(text(sequence.tokens)).toContain("x why?¶");
  expect(learnt(sequence)).toBe("Because¶");
  expect(sequence.tokens.length).toBeLessThanOrEqual(120);
});

test("an overlong answer loses its end, </s> included", () => {
  const pair = {
    id: "p",
    prompt: [user("hi")],
    chosen: "a".repeat(500),
    rejected: "no",
    weight: 1,
  };
  const { examples } = encodePairs(vocabulary, [pair], { maxTokens: 100, maxPromptTokens: 60 });
  const [chosen, rejected] = examples[0]?.sequences ?? [];
  expect(chosen?.tokens.length).toBe(100);
  expect(learnt(only(chosen && [chosen]))).toMatch(/^a+$/);
  expect(learnt(only(rejected && [rejected]))).toBe("no¶");
});

test("a long dialogue keeps its last exchange whole when that fits", () => {
  const messages = [
    system,
    user("x".repeat(90)),
    assistant("y".repeat(90)),
    user("hi"),
    assistant("Hello"),
  ];
  const limits = { maxTokens: 120, maxPromptTokens: 100 };
  const { examples, truncated } = encodeDialogues(vocabulary, [{ id: "d", messages }], limits);
  expect(truncated).toEqual(["d"]);
  expect(learnt(only(examples[0]?.sequences))).toBe("Hello¶");
});

test("text that spells a control token is learnt as text", () => {
  const messages = [user("hi"), assistant("type </s> to end")];
  const sequence = only(
    encodeDialogues(vocabulary, [{ id: "d", messages }], ROOMY).examples[0]?.sequences,
  );
  expect(learnt(sequence)).toBe("type </s> to end¶");
});
