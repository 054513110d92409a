/** The page's own HTTP API, without a browser. */
import { createServer } from "node:http";
import { expect, onTestFinished, test } from "vitest";
import type { Playground } from "#deploy/playground/playground.ts";
import { FeedbackLog, feedbackPath } from "#trainer/feedback/log.ts";
import { BOT_ID, freshFolder, HandClock, openPlayground } from "./arena.ts";

test("a person writes, edits, reacts and deletes, and sees only what is theirs to see", async () => {
  const playground = await openPlayground();
  const mira = playground.person("mira");
  const general = playground.channelId("general");
  const said = await post(playground, `/${mira.id}/channels/${general}/messages`, {
    content: "hello",
  });
  const { id } = await said.json();
  expect(
    (await send(playground, "PATCH", `/${mira.id}/messages/${id}`, { content: "hi" })).status,
  ).toBe(200);
  const emoji = encodeURIComponent("👍");
  expect(
    (await send(playground, "PUT", `/${mira.id}/messages/${id}/reactions/${emoji}`, {})).status,
  ).toBe(204);
  const list = await (
    await fetch(`${playground.url}/local/${mira.id}/channels/${general}/messages`)
  ).json();
  expect(list).toMatchObject([{ content: "hi", reactors: { "👍": ["Mira"] } }]);
  const aiko = playground.person("aiko");
  const foreign = await send(playground, "DELETE", `/${aiko.id}/messages/${id}`, {});
  expect((await foreign.json()).code).toBe(50013);
  expect((await send(playground, "DELETE", `/${mira.id}/messages/${id}`, {})).status).toBe(204);
  const direct = mira.directChannel();
  mira.say(direct, "between us");
  const peek = await fetch(`${playground.url}/local/${aiko.id}/channels/${direct}/messages`);
  expect((await peek.json()).code).toBe(50001);
});

test("nobody acts as the bot, or as someone who is not there", async () => {
  const playground = await openPlayground();
  const general = playground.channelId("general");
  for (const id of [BOT_ID, "999"]) {
    const response = await post(playground, `/${id}/channels/${general}/messages`, {
      content: "x",
    });
    expect([response.status, (await response.json()).code]).toEqual([404, 10013]);
  }
});

test("a write without a JSON content type, as a foreign form sends, is refused", async () => {
  const playground = await openPlayground();
  const path = `/local/${playground.person("mira").id}/channels/${playground.channelId("general")}/messages`;
  const response = await fetch(playground.url + path, { method: "POST", body: "content=x" });
  expect(response.status).toBe(415);
});

test("events come as a stream, without what others may not see", async () => {
  const playground = await openPlayground();
  const [mira, aiko] = [playground.person("mira"), playground.person("aiko")];
  const stop = new AbortController();
  const response = await fetch(`${playground.url}/local/${aiko.id}/events`, {
    signal: stop.signal,
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  await reader?.read();
  mira.say(mira.directChannel(), "private");
  mira.say(playground.channelId("general"), "public");
  const chunk = String((await reader?.read())?.value);
  expect(chunk).toContain('"content":"public"');
  expect(chunk).not.toContain("private");
  stop.abort();
});

test("the status names engine, model, adapter, trial and standing ratings, and says when the engine is gone", async () => {
  const dataDir = freshFolder();
  const clock = new HandClock();
  const health = {
    status: "ok",
    problems: [],
    model: {
      id: "nano",
      sha256: "0",
      parameters: 5,
      context_tokens: 512,
      streams: 8,
      device: "cpu",
    },
    adapter: "brief-7",
    canary: { name: "night-8", share: 0.99 },
    queue: { waiting: 0, running: 0, limit: 8 },
  };
  const engine = createServer((_, response) => {
    response.setHeader("content-type", "application/json").end(JSON.stringify(health));
  });
  await new Promise<void>((resolve) => engine.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void engine.close());
  const address = engine.address();
  const port = address === null || typeof address === "string" ? 0 : address.port;
  const playground = await openPlayground({
    dataDir,
    clock,
    engineUrl: `http://127.0.0.1:${port}`,
  });
  const read = async () => (await fetch(`${playground.url}/local/status`)).json();
  expect(await read()).toEqual({
    bot: "offline",
    engine: "up",
    model: "nano",
    adapter: "brief-7",
    trial: { name: "night-8", percent: 99, isHere: true },
    ratings: null,
  });
  FeedbackLog.open(feedbackPath(dataDir)).close();
  engine.closeAllConnections();
  await new Promise((resolve) => engine.close(resolve));
  clock.forward(2_000);
  expect(await read()).toMatchObject({ engine: "down", adapter: null, trial: null, ratings: 0 });
});

function post(playground: Playground, path: string, body: object): Promise<Response> {
  return send(playground, "POST", path, body);
}

function send(
  playground: Playground,
  method: string,
  path: string,
  body: object,
): Promise<Response> {
  return fetch(`${playground.url}/local${path}`, {
    method,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}
