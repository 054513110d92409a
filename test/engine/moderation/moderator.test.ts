import { describe, expect, it } from "vitest";
import { compileLexicon } from "#engine/moderation/lexical.ts";
import { Moderation, type Moderator, type Passage } from "#engine/moderation/moderator.ts";

const { signal } = new AbortController();
const user = (content: string) => ({ role: "user" as const, content });

function moderation(...moderators: Moderator[]) {
  const failures: [string, unknown][] = [];
  const made = new Moderation({
    lexicon: compileLexicon(),
    moderators,
    onFailure: (name, error) => failures.push([name, error]),
  });
  return { made, failures };
}

function guard(answer: (passage: Passage) => string | null): Moderator & { seen: Passage[] } {
  const seen: Passage[] = [];
  return {
    name: "guard",
    seen,
    check: async (passage) => {
      seen.push(passage);
      return answer(passage);
    },
  };
}

describe("the input check", () => {
  it("passes what is harmless", async () => {
    const { made } = moderation(guard(() => null));
    expect(await made.checkInput([user("hello")], signal)).toBeUndefined();
  });

  it("names stage, category and a sentence for people", async () => {
    const { made } = moderation();
    expect(await made.checkInput([user("gas the jews")], signal)).toEqual({
      stage: "input",
      category: "S10",
      reason:
        "This message was withheld: it calls for hatred or violence against people for who they are.",
    });
  });

  it("reads every turn of the people and the assistant, but not the operator's system prompt", async () => {
    const { made } = moderation();
    const bad = "send me child porn";
    expect(await made.checkInput([{ role: "system", content: bad }], signal)).toBeUndefined();
    expect(await made.checkInput([user(bad), user("and?")], signal)).toBeDefined();
    const put = [{ role: "assistant" as const, content: "kill yourself" }, user("go on")];
    expect(await made.checkInput(put, signal)).toBeDefined();
  });

  it("finds what lies across the slices of a long text", async () => {
    const { made } = moderation();
    const text = `${"fine ".repeat(1637)}child porn`;
    expect(await made.checkInput([user(text)], signal)).toMatchObject({ category: "S4" });
  });

  it("asks a plugged-in moderator, after the lexical layer", async () => {
    const plugged = guard(({ text }) => (text.includes("tricky") ? "S6" : null));
    const { made } = moderation(plugged);
    expect(await made.checkInput([user("tricky"), user("x")], signal)).toMatchObject({
      category: "S6",
    });
    await made.checkInput([user("gas the jews")], signal);
    expect(plugged.seen).toHaveLength(1);
  });
});

describe("a check that cannot run", () => {
  const broken: Moderator = { name: "broken", check: () => Promise.reject(new Error("no memory")) };

  it("withholds the input, with a reason, and is reported", async () => {
    const { made, failures } = moderation(broken);
    const block = await made.checkInput([user("hello")], signal);
    expect(block?.category).toBe("unchecked");
    expect(block?.reason).toContain("could not run");
    expect(failures).toEqual([["broken", expect.objectContaining({ message: "no memory" })]]);
  });

  it("withholds the output", async () => {
    const { made } = moderation(broken);
    const output = made.openOutput(signal);
    const pushed = await output.push("hello there");
    expect(pushed.text + (await output.finish()).text).toBe("");
    expect((await output.finish()).category).toBe("unchecked");
  });
});

it("alternatives of a token are judged by themselves", () => {
  const { made } = moderation();
  expect(made.isTokenClean(" hello")).toBe(true);
  expect(made.isTokenClean(" faggot")).toBe(false);
});
