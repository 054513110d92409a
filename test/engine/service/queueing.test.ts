import { describe, expect, it, onTestFinished, vi } from "vitest";
import { until } from "./scripted-backend.ts";
import { answer, ask, chat, collect, post, startScripted } from "./test-service.ts";

describe("waiting", () => {
  it("is told by comments, and ends in the order of turns", async () => {
    const { client, backend } = await startScripted({ streams: 1 });
    const first = client.complete(chat("first"));
    const running = await backend.run(0);
    const chunks = client.chat({ ...chat("second"), metadata: { guild: "g", person: "p" } });
    const iterator = chunks[Symbol.asyncIterator]();
    expect((await iterator.next()).value).toEqual({
      type: "queued",
      position: 0,
      waitMs: 1000,
    });
    expect(backend.runs).toHaveLength(1);
    answer("one")(running);
    expect((await first).answers).toEqual([{ text: "one", reason: "stop" }]);
    answer("two")(await backend.run(1));
    expect((await iterator.next()).value).toEqual({ type: "text", text: "two" });
    await iterator.return?.(undefined);
  });

  it("is refused when the queue is full, with when to come back", async () => {
    const { url, client, backend } = await startScripted({ streams: 1, queueLimit: 1 });
    const running = client.complete(chat("a"));
    await backend.run(0);
    const waiting = client.complete(chat("b"));
    await until(async () => (await client.health()).queue.waiting === 1);
    const response = await post(url, ask("c"));
    expect(response.status).toBe(429);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect((await response.json()).error).toMatchObject({
      code: "queue_full",
      type: "rate_limit_error",
      message: expect.stringContaining("Too many requests wait already (1)"),
    });
    for (const index of [0, 1]) answer("ok")(await backend.run(index));
    await Promise.all([running, waiting]);
  });
});

describe("asking where a request stands", () => {
  it("goes by the id that the caller gave it, and tells a newcomer's wait", async () => {
    const { url, client, backend } = await startScripted({ streams: 1 });
    const first = client.complete(chat("a"));
    await backend.run(0);
    const waiting = post(url, ask("b"), { headers: { "x-request-id": "mine.1" } });
    const stateOf = async (path: string) => (await fetch(`${url}/v1/queue${path}`)).json();
    await until(async () => (await client.health()).queue.waiting === 1);
    expect(await stateOf("/mine.1")).toEqual({
      id: "mine.1",
      state: "waiting",
      position: 0,
      wait_ms: 1000,
    });
    expect(await stateOf("")).toEqual({
      object: "queue",
      waiting: 1,
      running: 1,
      limit: 8,
      wait_ms: 2000,
    });
    answer("ok")(await backend.run(0));
    const run = await backend.run(1);
    expect(await stateOf("/mine.1")).toEqual({ id: "mine.1", state: "running" });
    answer("ok")(run);
    expect((await waiting).headers.get("x-request-id")).toBe("mine.1");
    await first;
    expect((await stateOf("/mine.1")).error).toMatchObject({ code: "request_not_found" });
  });

  it("takes no id that could be anything but one", async () => {
    const { url } = await startScripted();
    const response = await fetch(`${url}/health`, { headers: { "x-request-id": "a b\u00ff" } });
    expect(response.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe("a deadline", () => {
  it("ends a request that waits, and one that runs, and frees their places", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const { url, client, backend } = await startScripted({ streams: 1 });
    const running = post(url, ask("a", { deadline_ms: 5000 }));
    const run = await backend.run(0);
    const streamed = collect(client.chat({ ...chat("b"), deadlineMs: 4000 })).catch(
      (error: unknown) => error,
    );
    await until(async () => (await client.health()).queue.waiting === 1);
    vi.advanceTimersByTime(4000);
    expect(await streamed).toMatchObject({
      code: "deadline_exceeded",
      message: expect.stringContaining("within 4 s"),
    });
    expect(run.isAborted).toBe(false);
    vi.advanceTimersByTime(1000);
    const response = await running;
    expect(response.status).toBe(504);
    expect((await response.json()).error.code).toBe("deadline_exceeded");
    expect(run.isAborted).toBe(true);
    expect((await client.health()).queue).toMatchObject({ waiting: 0, running: 0 });
  });
});

describe("background work over HTTP", () => {
  it("gives way to whoever comes later", async () => {
    const { client, backend } = await startScripted({ streams: 1 });
    const first = client.complete(chat("first"));
    await backend.run(0);
    const night = client.complete({ ...chat("night"), priority: "background" });
    await until(async () => (await client.health()).queue.waiting === 1);
    const day = client.complete(chat("day"));
    await until(async () => (await client.health()).queue.waiting === 2);
    answer("ok")(await backend.run(0));
    const second = await backend.run(1);
    expect(second.request.messages[0]?.content).toBe("day");
    answer("ok")(second);
    answer("ok")(await backend.run(2));
    await Promise.all([first, night, day]);
  });
});

describe("leaving", () => {
  it("aborts the completion, streamed or not, and frees its place", async () => {
    const { url, client, backend } = await startScripted({ streams: 2 });
    for (const [index, stream] of [true, false].entries()) {
      const leave = new AbortController();
      const gone = post(url, ask("hi", { stream }), { signal: leave.signal }).catch(
        () => undefined,
      );
      const run = await backend.run(index);
      run.say("Hello ");
      leave.abort();
      await gone;
      await until(() => run.isAborted);
    }
    await until(async () => (await client.health()).queue.running === 0);
  });

  it("takes a waiting request out of the queue", async () => {
    const { url, client, backend } = await startScripted({ streams: 1 });
    const first = client.complete(chat("a"));
    await backend.run(0);
    const leave = new AbortController();
    const gone = post(url, ask("b"), { signal: leave.signal }).catch(() => undefined);
    await until(async () => (await client.health()).queue.waiting === 1);
    leave.abort();
    await gone;
    await until(async () => (await client.health()).queue.waiting === 0);
    answer("ok")(await backend.run(0));
    await first;
    expect(backend.runs).toHaveLength(1);
  });
});

describe("draining", () => {
  it("lets running requests finish, refuses new ones, then closes", async () => {
    const { client, backend, service, url } = await startScripted();
    const chunks = client.chat(chat("hi"))[Symbol.asyncIterator]();
    const first = chunks.next();
    const run = await backend.run(0);
    run.say("Hello ");
    run.say("there ");
    expect((await first).value).toEqual({ type: "text", text: "Hello" });
    const drained = service.drain(60_000);
    await expect(client.complete(chat("late"))).rejects.toMatchObject({ name: "CodedError" });
    run.end();
    const rest = await collect({ [Symbol.asyncIterator]: () => chunks });
    expect(rest.map((chunk) => (chunk.type === "text" ? chunk.text : "")).join("")).toBe(" there ");
    expect(rest.at(-1)).toMatchObject({ type: "end", reason: "stop" });
    await drained;
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });

  it("ends what has not finished in time with an error, streamed or not", async () => {
    const { client, backend, service } = await startScripted();
    const streamed = collect(client.chat(chat("a"))).catch((error: unknown) => error);
    const whole = client.complete(chat("b")).catch((error: unknown) => error);
    (await backend.run(0)).say("Hello ");
    await backend.run(1);
    await service.drain(1);
    for (const error of [await streamed, await whole]) {
      expect(error).toMatchObject({ code: "engine_stopping" });
    }
  });
});

it("a quiet stream is kept alive by comments", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
  const { url, backend } = await startScripted();
  const response = await post(url, ask("hi", { stream: true }));
  const run = await backend.run(0);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader?.read())?.value).toContain('"role":"assistant"');
  vi.advanceTimersByTime(15_000);
  expect((await reader?.read())?.value).toBe(": keep-alive\n\n");
  answer("done")(run);
  let rest = "";
  for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) {
    rest += next.value;
  }
  expect(rest).toContain("data: [DONE]");
  expect(vi.getTimerCount()).toBe(0);
});
