import { describe, expect, it } from "vitest";
import { Guard } from "#engine/moderation/guard.ts";
import { QWEN3GUARD } from "#engine/moderation/guard-format.ts";
import { compileLexicon } from "#engine/moderation/lexical.ts";
import { Moderation } from "#engine/moderation/moderator.ts";
import { qwenAnswer, ScriptedGuard } from "./scripted-guard.ts";

const { signal } = new AbortController();
const user = (content: string) => ({ role: "user" as const, content });
const assistant = (content: string) => ({ role: "assistant" as const, content });
const SAFE = qwenAnswer({ Safe: 1 });

function moderated(model: ScriptedGuard, failOpen = false) {
  const failures: unknown[] = [];
  const moderation = new Moderation({
    lexicon: compileLexicon(),
    moderators: [new Guard(model, QWEN3GUARD)],
    failOpen,
    onFailure: (_, error) => failures.push(error),
  });
  return { moderation, failures };
}

/** Unsafe exactly where the judged text holds the word. */
function onWord(word: string, categories: string, limit?: number) {
  return new ScriptedGuard(
    (text) => (text.includes(word) ? qwenAnswer({ Unsafe: 0.9, Safe: 0.1 }, categories) : SAFE),
    limit,
  );
}

describe("the guard on input", () => {
  it("judges the last message in its context, and each earlier one by itself", async () => {
    const model = onWord("tricky", "Violent");
    const { moderation } = moderated(model);
    const messages = [user("hello"), assistant("hi"), user("and now?")];
    expect(await moderation.checkInput(messages, signal)).toEqual({ warnings: [] });
    expect(model.asked).toEqual([[user("hello")], messages]);
  });

  it("finds what an earlier message says, though the last one is harmless", async () => {
    const { moderation } = moderated(onWord("tricky", "Violent"));
    const messages = [user("tricky"), assistant("no"), user("please")];
    expect(await moderation.checkInput(messages, signal)).toMatchObject({
      block: { category: "S1", stage: "input" },
    });
  });

  it("asks of each message once, however long the conversation grows", async () => {
    const model = onWord("tricky", "Violent");
    const { moderation } = moderated(model);
    const messages = [user("one"), assistant("1"), user("two")];
    await moderation.checkInput(messages, signal);
    const before = model.asked.length;
    await moderation.checkInput([...messages, assistant("2"), user("three")], signal);
    // "two" by itself, and "three" in its context.
    expect(model.asked.length - before).toBe(2);
  });

  it("judges a text that is too long in parts, and is as strict as the worst of them", async () => {
    const model = onWord("tricky", "Violent", 200);
    const { moderation } = moderated(model);
    const long = `${"word ".repeat(90)}tricky ${"word ".repeat(90)}`;
    expect(await moderation.checkInput([user(long)], signal)).toMatchObject({
      block: { category: "S1" },
    });
    expect(await moderation.checkInput([user("word ".repeat(300))], signal)).toEqual({
      warnings: [],
    });
  });

  it("takes sexual content with minors for S4, in age-restricted places too", async () => {
    const { moderation } = moderated(onWord("tricky", "Sexual Content or Sexual Acts"));
    const policy = {
      ageRestricted: true,
      threshold: 0.5,
      usual: { controversial: "allow", unsafe: "allow" },
      hazards: {},
      locale: "en",
    } as const;
    const check = (text: string) => moderation.checkInput([user(text)], signal, policy);
    expect(await check("tricky adults")).toEqual({ warnings: [] });
    for (const text of ["tricky schoolgirls", "tricky, she is 15 years old", "tricky kids"]) {
      expect(await check(text)).toMatchObject({ block: { category: "S4" } });
    }
  });

  it("shows help lines to somebody of whom the guard says self-harm, whatever else it says", async () => {
    const { moderation } = moderated(onWord("tricky", "Violent, Suicide & Self-Harm"));
    const { block } = await moderation.checkInput([user("tricky")], signal);
    expect(block).toMatchObject({ category: "S11", reason: expect.stringContaining("988") });
  });

  it("refuses where the model gives no verdict", async () => {
    const { moderation, failures } = moderated(new ScriptedGuard(() => [["I am a chat model"]]));
    expect(await moderation.checkInput([user("hello")], signal)).toMatchObject({
      block: { category: "unchecked" },
    });
    expect(failures).toHaveLength(1);
  });
});

describe("the guard on text that hides words", () => {
  it.each(["this is tr1cky", "t r i c k y", "triсky with a Cyrillic letter", "ｔｒｉｃｋｙ"])(
    "reads %j as people do, besides as it was typed",
    async (text) => {
      const model = onWord("tricky", "Violent");
      const { moderation } = moderated(model);
      const { block } = await moderation.checkInput([user(text)], signal);
      expect(block?.category).toBe("S1");
      expect(model.asked.map((turns) => turns.at(-1)?.content)).toContain(text);
    },
  );

  it("asks twice of nothing that hides no words", async () => {
    const model = onWord("tricky", "Violent");
    const { moderation } = moderated(model);
    await moderation.checkInput([user("Où est la gare? IN 2024!")], signal);
    expect(model.asked).toHaveLength(1);
  });
});

describe("the guard on output", () => {
  it("judges a passage with what was asked and what came before it", async () => {
    const model = onWord("tricky", "Violent");
    const { moderation } = moderated(model);
    const output = moderation.openOutput({ messages: [user("how?")], signal });
    await output.push(`${"fine ".repeat(30)}`);
    const { category } = await output.push(`${"tricky ".repeat(60)}`);
    expect(category).toBe("S1");
    const last = model.asked.at(-1) ?? [];
    expect(last[0]).toEqual(user("how?"));
    expect(last[1]?.content).toContain("fine fine tricky");
  });

  it("lets nothing of a blocked passage out", async () => {
    const { moderation } = moderated(onWord("tricky", "Violent"));
    const output = moderation.openOutput({ messages: [user("how?")], signal });
    const text = `${"fine ".repeat(40)}tricky ${"fine ".repeat(200)}`;
    let shown = "";
    for (const piece of text.match(/\S+\s*/g) ?? []) shown += (await output.push(piece)).text;
    shown += (await output.finish()).text;
    expect(shown).not.toContain("tricky");
    expect(shown.length).toBeGreaterThan(90);
  });
});
