/** Pictures are checked by a server of OpenAI's moderations before the model that looks at them gets them. */
import OpenAI from "openai";
import { describe, expect, it, onTestFinished } from "vitest";
import { RemoteImageCheck } from "#engine/backends/remote/image-check.ts";
import { openRemoteBackend } from "#engine/backends/remote/remote.ts";
import { systemClock } from "#engine/base/clock.ts";
import { parseConfig } from "#engine/base/config.ts";
import { imagesRefusal, openImageCheck } from "#engine/service/image-check.ts";
import { openBackend } from "#engine/service/open-backend.ts";
import { reply, startVendor } from "../backends/remote/vendor-server.ts";
import { ask, post, serve, startScripted } from "./test-service.ts";

/** A PNG's first bytes, and a name by which the scripted server knows it. */
const picture = (name: string) =>
  `data:image/png;base64,${Buffer.from(`89504e470d0a1a0a${Buffer.from(name).toString("hex")}`, "hex").toString("base64")}`;
const withPicture = (name: string, text = "What is this?", more: Record<string, unknown> = {}) => ({
  messages: [
    {
      role: "user" as const,
      content: [
        { type: "text" as const, text },
        { type: "image_url" as const, image_url: { url: picture(name) } },
      ],
    },
  ],
  ...more,
});

type Found = { scores?: Record<string, number>; flags?: readonly string[] };
const FOUND: Readonly<Record<string, Found>> = {
  blood: { scores: { "violence/graphic": 0.97 } },
  nude: { scores: { sexual: 0.99 }, flags: ["sexual"] },
  child: { scores: { sexual: 0.9, "sexual/minors": 0.8 }, flags: ["sexual/minors"] },
  wound: { scores: { "self-harm": 0.2 }, flags: ["self-harm"] },
};

/** A vision model's server and a moderation server, both scripted, and the real service between them. */
async function start(options: { isFailOpen?: boolean; down?: boolean; answer?: unknown } = {}) {
  const eyes = await startVendor(({ path, body }, response) => {
    if (path !== "/v1/moderations") return undefined;
    if (options.answer !== undefined) return reply(response, options.answer);
    const sent = JSON.stringify(body["input"]);
    const name = Object.keys(FOUND).find((one) => sent.includes(picture(one)));
    const { scores = {}, flags = [] } = FOUND[name ?? ""] ?? {};
    const categories = Object.fromEntries(flags.map((flag) => [flag, true]));
    const flagged = flags.length > 0;
    return reply(response, { results: [{ flagged, categories, category_scores: scores }] });
  });
  const check = new RemoteImageCheck({
    url: eyes.url,
    model: "omni-moderation-latest",
    apiKey: "picture-key",
    clock: systemClock,
    pause: { sleep: async () => {}, random: () => 0 },
  });
  if (options.down === true) await eyes.close();
  const vendor = await startVendor();
  const backend = await openRemoteBackend({
    url: vendor.url,
    kind: "openai",
    model: "base-model",
    contextTokens: 4096,
    streams: 2,
    images: "on",
    clock: systemClock,
  });
  const served = await serve(backend, { images: check, isFailOpen: options.isFailOpen === true });
  onTestFinished(async () => {
    await served.service.drain(0);
    await backend[Symbol.asyncDispose]();
  });
  const answered = () => vendor.requests.filter(({ path }) => path === "/v1/chat/completions");
  const choice = async (body: unknown) => (await (await post(served.url, body)).json()).choices[0];
  return { ...served, eyes, answered, choice };
}

describe("a picture", () => {
  it("is looked at before the model gets it, alone, and once", async () => {
    const { eyes, choice, answered, url } = await start();
    const { message } = await choice(withPicture("cat"));
    expect(message.content).toBe("hello there");
    await choice(withPicture("cat", "And again?"));
    expect(answered()).toHaveLength(2);
    expect(eyes.requests).toEqual([
      {
        method: "POST",
        path: "/v1/moderations",
        authorization: "Bearer picture-key",
        body: {
          model: "omni-moderation-latest",
          input: [{ type: "image_url", image_url: { url: picture("cat") } }],
        },
      },
    ]);
    const { checks } = await (await fetch(`${url}/health`)).json();
    expect(checks).toEqual(["lexical", `pictures by omni-moderation-latest at ${eyes.url}`]);
  });

  it("that is found harmful never reaches the model, also streamed, also from earlier in the conversation", async () => {
    const { choice, answered, url } = await start();
    const blocked = await choice(withPicture("blood"));
    expect(blocked).toMatchObject({
      finish_reason: "content_filter",
      verdict: { stage: "input", category: "S1", probability: expect.closeTo(0.97) },
    });
    const streamed = await (await post(url, withPicture("blood", "x", { stream: true }))).text();
    expect(streamed).toContain("content_filter");
    const [turn] = withPicture("blood").messages;
    const later = [turn, { role: "assistant", content: "Hm." }, { role: "user", content: "So?" }];
    expect((await choice({ messages: later })).finish_reason).toBe("content_filter");
    expect(answered()).toEqual([]);
  });

  it("is held to the place's policy: sexual content in age-restricted places alone, minors nowhere", async () => {
    const { choice } = await start();
    const place = { metadata: { age_restricted: true } };
    expect((await choice(withPicture("nude"))).verdict.category).toBe("S12");
    expect((await choice(withPicture("nude", "x", place))).finish_reason).toBe("stop");
    expect((await choice(withPicture("child", "x", place))).verdict.category).toBe("S4");
  });

  it("of a wound is answered with help lines, whatever the server's score was", async () => {
    const { choice } = await start();
    const { verdict } = await choice(withPicture("wound"));
    expect(verdict.category).toBe("S11");
    expect(verdict.reason).toContain("findahelpline.com");
  });

  it("is not lifted by what moderators decided about the words beside it", async () => {
    const { choice } = await start();
    const metadata = { moderation: { decided: "allow" } };
    expect((await choice(withPicture("blood", "x", { metadata }))).finish_reason).toBe(
      "content_filter",
    );
  });

  it.each([
    ["cannot be reached", { down: true }],
    ["cannot be reached, though text may pass unchecked", { down: true, isFailOpen: true }],
    ["answers something else", { answer: { result: "fine" } }],
    ["answers with no result", { answer: { results: [] } }],
  ])("is refused with its question where the check %s", async (_what, options) => {
    const { choice, answered, url } = await start(options);
    expect((await choice(withPicture("cat"))).verdict).toMatchObject({ category: "unchecked" });
    expect(answered()).toEqual([]);
    expect((await post(url, ask("no picture"))).status).toBe(200);
    expect(answered()).toHaveLength(1);
  });
});

describe("moderations of pictures", () => {
  it("are answered in OpenAI's shape, text and picture together", async () => {
    const { url } = await start();
    const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
    const { results } = await openai.moderations.create({
      input: [
        { type: "text", text: "look" },
        { type: "image_url", image_url: { url: picture("blood") } },
      ],
    });
    expect(results).toHaveLength(1);
    expect(results[0]).toMatchObject({
      flagged: true,
      categories: { violence: true, sexual: false },
      category_applied_input_types: { violence: ["text", "image"], illicit: ["text"] },
    });
    expect(results[0]?.category_scores.violence).toBeCloseTo(0.97);
  });

  it("are an error where the check cannot run, and a refusal where there is none", async () => {
    const input = [{ type: "image_url", image_url: { url: picture("cat") } }];
    const send = async (url: string) => {
      const init = { method: "POST", body: JSON.stringify({ input }) };
      const response = await fetch(`${url}/v1/moderations`, init);
      return [response.status, (await response.json()).error];
    };
    const { url } = await start({ down: true });
    expect(await send(url)).toMatchObject([503, { code: "guard_failed" }]);
    const { url: blind } = await startScripted();
    const message = expect.stringContaining("IMAGE_CHECK_URL");
    expect(await send(blind)).toMatchObject([400, { param: "input", message }]);
  });
});

describe("the settings", () => {
  const open = async (settings: Record<string, string>) => {
    const vendor = await startVendor();
    const config = parseConfig({
      BACKEND_URL: vendor.url,
      BACKEND_MODEL: "base-model",
      BACKEND_IMAGES: "on",
      ...settings,
    });
    const { backend } = await openBackend(config, () => Promise.reject());
    onTestFinished(async () => backend[Symbol.asyncDispose]());
    return backend.info.images;
  };

  it("keep pictures from the model unless they are checked, or may pass unchecked", async () => {
    expect(await open({})).toMatchObject({
      can: false,
      why: expect.stringContaining("IMAGE_CHECK_URL"),
    });
    expect(await open({ UNCHECKED_IMAGES: "allow" })).toEqual({ can: true });
    expect(await open({ IMAGE_CHECK_URL: "http://127.0.0.1:9" })).toEqual({ can: true });
  });

  it("name the check, and refuse one that could be shown another picture than the model", () => {
    const config = (more: Record<string, string>) =>
      parseConfig({ IMAGE_CHECK_URL: "http://127.0.0.1:9", ...more });
    expect(openImageCheck(config({}))?.name).toContain("omni-moderation-latest");
    expect(openImageCheck(parseConfig({}))).toBeUndefined();
    expect(() => openImageCheck(config({ IMAGE_URLS: "https" }))).toThrow("IMAGE_URLS=data");
    expect(imagesRefusal(config({}))).toBeUndefined();
  });
});
