/** How a community's policy reaches the checks of a chat, over HTTP. */
import { describe, expect, it } from "vitest";
import { Guard } from "#engine/moderation/guard.ts";
import { QWEN3GUARD } from "#engine/moderation/guard-format.ts";
import { qwenAnswer, ScriptedGuard } from "../moderation/scripted-guard.ts";
import { answer, ask, post, readEvents, startScripted } from "./test-service.ts";

type Shares = Parameters<typeof qwenAnswer>[0];

function guardOn(categories: string, shares: Shares = { Unsafe: 0.9, Safe: 0.1 }) {
  const model = new ScriptedGuard((text) =>
    text.includes("tricky") ? qwenAnswer(shares, categories) : qwenAnswer({ Safe: 1 }),
  );
  return new Guard(model, QWEN3GUARD);
}

const start = (guard: Guard, said = "fine words") =>
  startScripted({ script: answer(said), moderators: [guard] });
const choiceOf = async (response: Response) => (await response.json()).choices[0];

describe("a request's policy", () => {
  it("may be written as JSON in a string, as OpenAI's clients send metadata", async () => {
    const { url } = await start(guardOn("PII"));
    const policy = { hazards: { S7: { unsafe: "warn" } } };
    const metadata = { guild: "g", moderation: JSON.stringify(policy) };
    const choice = await choiceOf(await post(url, ask("tricky", { metadata })));
    expect(choice).toMatchObject({
      finish_reason: "stop",
      message: { content: "fine words" },
      warnings: [{ stage: "input", category: "S7", severity: "unsafe" }],
    });
  });

  it("holds for that request alone", async () => {
    const { url } = await start(guardOn("PII"));
    const choice = await choiceOf(await post(url, ask("tricky")));
    expect(choice).toMatchObject({ finish_reason: "content_filter", verdict: { category: "S7" } });
  });

  it("lets sexual content pass in age-restricted places alone", async () => {
    const { url } = await start(guardOn("Sexual Content or Sexual Acts"));
    const reason = async (metadata: object) =>
      (await choiceOf(await post(url, ask("tricky", { metadata })))).finish_reason;
    expect(await reason({ age_restricted: "true" })).toBe("stop");
    expect(await reason({ age_restricted: false })).toBe("content_filter");
    expect(await reason({})).toBe("content_filter");
  });

  it("chooses the language of help lines", async () => {
    const { url, backend } = await start(guardOn("PII"));
    const metadata = { locale: "fr" };
    const choice = await choiceOf(await post(url, ask("I want to kill myself", { metadata })));
    expect(choice.message.refusal).toContain("3114");
    expect(choice.verdict.category).toBe("S11");
    expect(backend.runs).toHaveLength(0);
  });

  it("notes on the last chunk of a stream what was shown with a warning", async () => {
    const controversial = guardOn("Unethical Acts", { Unsafe: 0.1, Safe: 0.1, Controversial: 0.8 });
    const { url } = await start(controversial, "this is tricky to say");
    const { data } = await readEvents(await post(url, ask("hi", { stream: true })));
    expect(data.at(-1).choices[0]).toMatchObject({
      finish_reason: "stop",
      warnings: [{ stage: "output", category: "S10", severity: "controversial" }],
    });
  });

  it("is refused where it is malformed, before anything is generated", async () => {
    const { url, backend } = await start(guardOn("PII"));
    const metadata = { moderation: { hazards: { S1: { unsafe: "maybe" } } } };
    const response = await post(url, ask("hi", { metadata }));
    expect(response.status).toBe(400);
    expect((await response.json()).error).toMatchObject({
      param: "metadata.moderation.hazards.S1.unsafe",
      message: expect.stringContaining("allow, warn or block"),
    });
    expect(backend.runs).toHaveLength(0);
  });
});

describe("what moderators decided about a question", () => {
  it("lets it pass with a note where they allowed it", async () => {
    const { url } = await start(guardOn("Non-violent Illegal Acts"));
    const metadata = { moderation: { decided: "allow" } };
    const choice = await choiceOf(await post(url, ask("tricky", { metadata })));
    expect(choice).toMatchObject({
      finish_reason: "stop",
      warnings: [{ category: "S2", severity: "unsafe" }],
    });
  });

  it("never lets minors pass, nor pleas for help", async () => {
    const metadata = { age_restricted: true, moderation: { decided: "allow" } };
    for (const [categories, text, category] of [
      ["Sexual Content or Sexual Acts", "tricky schoolgirls", "S4"],
      ["Suicide & Self-Harm", "tricky", "S11"],
    ] as const) {
      const { url } = await start(guardOn(categories));
      const choice = await choiceOf(await post(url, ask(text, { metadata })));
      expect(choice).toMatchObject({ finish_reason: "content_filter", verdict: { category } });
    }
  });

  it("allows nothing above the operator's ceiling, as the community's policy does not", async () => {
    const { url } = await startScripted({
      script: answer("fine words"),
      moderators: [guardOn("Violent")],
      ceiling: ["S1"],
    });
    for (const moderation of [{ decided: "allow" }, { hazards: { S1: { unsafe: "allow" } } }]) {
      const choice = await choiceOf(await post(url, ask("tricky", { metadata: { moderation } })));
      expect(choice).toMatchObject({
        finish_reason: "content_filter",
        verdict: { category: "S1" },
      });
      const init = {
        method: "POST",
        body: JSON.stringify({ input: "tricky", metadata: { moderation } }),
      };
      const { results } = await (await fetch(`${url}/v1/moderations`, init)).json();
      expect(results[0].flagged).toBe(true);
    }
  });

  it("keeps it from the model where they ruled it out, but shows help to whoever pleads", async () => {
    const { url, backend } = await start(guardOn("PII"));
    const metadata = { moderation: { decided: "block" } };
    const choice = await choiceOf(await post(url, ask("hello", { metadata })));
    expect(choice).toMatchObject({
      finish_reason: "content_filter",
      verdict: { category: "moderators", reason: expect.stringContaining("moderators decided") },
    });
    expect(backend.runs).toHaveLength(0);
    const plea = await choiceOf(await post(url, ask("I want to kill myself", { metadata })));
    expect(plea.verdict).toMatchObject({ category: "S11", reason: expect.stringContaining("988") });
  });
});
