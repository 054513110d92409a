/** `/v1/moderations` by the official client and by hand. */
import OpenAI from "openai";
import { describe, expect, it } from "vitest";
import { Guard } from "#engine/moderation/guard.ts";
import { QWEN3GUARD } from "#engine/moderation/guard-format.ts";
import { qwenAnswer, ScriptedGuard } from "../moderation/scripted-guard.ts";
import { startScripted } from "./test-service.ts";

const guard = () =>
  new Guard(
    new ScriptedGuard((text) =>
      text.includes("tricky")
        ? qwenAnswer({ Unsafe: 0.8, Safe: 0.2 }, "Violent")
        : qwenAnswer({ Safe: 0.95, Unsafe: 0.05 }),
    ),
    QWEN3GUARD,
  );

async function start(options: Parameters<typeof startScripted>[0] = { moderators: [guard()] }) {
  const { url } = await startScripted(options);
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  const send = (body: unknown) =>
    fetch(`${url}/v1/moderations`, { method: "POST", body: JSON.stringify(body) });
  return { openai, send };
}

describe("moderations", () => {
  it("answer a text with OpenAI's categories and scores", async () => {
    const { openai } = await start();
    const { results, model } = await openai.moderations.create({ input: "something tricky" });
    expect(model).toBe("lexical+scripted guard");
    expect(results).toHaveLength(1);
    expect(results[0]?.flagged).toBe(true);
    expect(results[0]?.categories).toMatchObject({ violence: true, hate: false });
    expect(results[0]?.category_scores.violence).toBeCloseTo(0.8);
    expect(results[0]?.category_scores["illicit/violent"]).toBeCloseTo(0.8);
  });

  it("answer a list in its order", async () => {
    const { openai } = await start();
    const { results } = await openai.moderations.create({
      input: ["hello", "tricky", "gas the jews"],
    });
    expect(results.map(({ flagged }) => flagged)).toEqual([false, true, true]);
    expect(results[2]?.categories.hate).toBe(true);
    expect(results[2]?.category_scores.hate).toBe(1);
  });

  it("name every category that OpenAI's own answer has", async () => {
    const { openai } = await start();
    const { results } = await openai.moderations.create({
      input: [{ type: "text", text: "hello" }],
    });
    const names = [
      ...["harassment", "harassment/threatening", "hate", "hate/threatening", "illicit"],
      ...["illicit/violent", "self-harm", "self-harm/instructions", "self-harm/intent"],
      ...["sexual", "sexual/minors", "violence", "violence/graphic"],
    ];
    expect(Object.keys(results[0]?.categories ?? {}).toSorted()).toEqual(names.toSorted());
    expect(Object.keys(results[0]?.category_scores ?? {}).toSorted()).toEqual(names.toSorted());
  });

  it("are made by the layers that health names", async () => {
    const { url } = await startScripted({ moderators: [guard()] });
    const { checks } = await (await fetch(`${url}/health`)).json();
    expect(checks).toEqual(["lexical", "scripted guard"]);
  });

  it("work with the lexical layer alone", async () => {
    const { openai } = await start({});
    const { results, model } = await openai.moderations.create({ input: "you are a faggot" });
    expect(model).toBe("lexical");
    expect(results[0]).toMatchObject({ flagged: true, hazards: { slur: 1 } });
  });

  it("flag by the community's policy", async () => {
    const { send } = await start();
    const metadata = { moderation: JSON.stringify({ hazards: { S1: { unsafe: "allow" } } }) };
    const body = await (await send({ input: "tricky", metadata })).json();
    expect(body.results[0]).toMatchObject({ flagged: false, categories: { violence: true } });
  });

  it("are an error, never a clean result, when a check cannot run", async () => {
    const broken = { name: "guard", check: () => Promise.reject(new Error("gone")) };
    const { send } = await start({ moderators: [broken] });
    const response = await send({ input: "hello" });
    expect(response.status).toBe(503);
    expect((await response.json()).error.code).toBe("guard_failed");
  });

  it.each([
    [{}, "input"],
    [{ input: [] }, "input"],
    [{ input: [1] }, "input"],
    [{ input: [{ type: "image_url", image_url: { url: "x" } }] }, "input"],
    [{ input: "x", metadata: { moderation: "{" } }, "metadata.moderation"],
    [
      { input: "x", metadata: { moderation: { hazards: { S99: {} } } } },
      "metadata.moderation.hazards",
    ],
    [{ input: "x", metadata: { moderation: { threshold: 2 } } }, "metadata.moderation.threshold"],
    [[], ""],
  ])("refuse %j, naming the field", async (body, param) => {
    const { send } = await start();
    const response = await send(body);
    expect(response.status).toBe(400);
    expect((await response.json()).error.param).toContain(param);
  });
});
