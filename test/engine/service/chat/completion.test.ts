import { describe, expect, it } from "vitest";
import { answer, ask, chat, collect, post, readEvents, startScripted } from "../test-service.ts";

describe("a completion", () => {
  it("is OpenAI's object, with the adapter beside it", async () => {
    const { url } = await startScripted({ script: answer("Hello there, friend.") });
    const response = await post(url, ask("hi"));
    expect(response.headers.get("x-zephyr-adapter")).toBe("base");
    expect(await response.json()).toEqual({
      id: expect.stringMatching(/^chatcmpl-/),
      object: "chat.completion",
      created: expect.any(Number),
      model: "scripted",
      system_fingerprint: "fp_5c5c5c5c5c5c",
      adapter: null,
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "Hello there, friend.", refusal: null },
          logprobs: null,
          finish_reason: "stop",
        },
      ],
      usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
    });
  });

  it("streams chunks, usage and [DONE]", async () => {
    const { url } = await startScripted({ script: answer("Hello there, friend.") });
    const response = await post(
      url,
      ask("hi", { stream: true, stream_options: { include_usage: true } }),
    );
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const { data, last } = await readEvents(response);
    expect(last).toBe("[DONE]");
    const deltas = data.flatMap((chunk) => chunk.choices);
    expect(deltas[0].delta).toEqual({ role: "assistant", content: "" });
    expect(deltas.map((choice) => choice.delta.content ?? "").join("")).toBe(
      "Hello there, friend.",
    );
    expect(deltas.at(-1)).toEqual({ index: 0, delta: {}, logprobs: null, finish_reason: "stop" });
    expect(data.at(-1)).toMatchObject({
      object: "chat.completion.chunk",
      choices: [],
      usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
    });
    expect(data.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
  });

  it("has n choices with seeds of their own, in both modes", async () => {
    const { url, backend } = await startScripted({
      streams: 2,
      script: (run) => answer(`seed ${run.request.sampling.seed}`)(run),
    });
    const body = await (await post(url, ask("hi", { n: 3, seed: 7 }))).json();
    const texts = body.choices.map(
      (choice: { message: { content: string } }) => choice.message.content,
    );
    expect(texts).toEqual(["seed 7", "seed 8", "seed 9"]);
    expect(body.usage).toEqual({ prompt_tokens: 2, completion_tokens: 6, total_tokens: 8 });
    const { data } = await readEvents(await post(url, ask("hi", { n: 2, seed: 1, stream: true })));
    const text = (index: number) =>
      data
        .flatMap((chunk) => chunk.choices)
        .filter((choice) => choice.index === index)
        .map((choice) => choice.delta.content ?? "")
        .join("");
    expect([text(0), text(1)]).toEqual(["seed 1", "seed 2"]);
    expect(backend.runs).toHaveLength(5);
  });
});

describe("a completion's settings", () => {
  it("gives log-probabilities, without alternatives that may not be shown", async () => {
    const { url } = await startScripted({ script: answer("Fine words.") });
    const body = await (await post(url, ask("hi", { logprobs: true, top_logprobs: 2 }))).json();
    const fine = { token: "Fine ", logprob: -0.5, bytes: [...Buffer.from("Fine ")] };
    expect(body.choices[0].logprobs.content[0]).toEqual({ ...fine, top_logprobs: [fine] });
    expect(JSON.stringify(body)).not.toContain("faggot");
  });

  it("passes every setting on to the backend", async () => {
    const { url, backend } = await startScripted({ script: answer("ok") });
    const settings = { temperature: 0, top_p: 0.5, top_k: 3, min_p: 0.2, seed: 9, max_tokens: 5 };
    await (await post(url, ask("a b c", { ...settings, stop: "END" }))).json();
    expect(backend.runs[0]?.request).toMatchObject({
      sampling: { temperature: 0, topP: 0.5, topK: 3, minP: 0.2, seed: 9 },
      maxTokens: 5,
      stop: ["END"],
      adapter: null,
    });
    await (await post(url, ask("a b c"))).json();
    expect(backend.runs[1]?.request.maxTokens, "what the context leaves").toBe(60);
  });
});

const UNSAFE = { probabilities: { safe: 0, controversial: 0, unsafe: 1 }, hazards: ["S2"] };

describe("checked text", () => {
  it("is all that a blocked answer gives out, with the reason", async () => {
    const { url, backend } = await startScripted({
      script: (run) => {
        for (const piece of ["All ", "fine. ", "You fag", "got ", "and more"]) run.say(piece);
      },
    });
    const body = await (await post(url, ask("hi", { logprobs: true, top_logprobs: 1 }))).json();
    expect(body.choices[0]).toMatchObject({
      finish_reason: "content_filter",
      message: {
        content: "All fine. ",
        refusal: "The rest of this answer was withheld: it contains a slur.",
      },
      verdict: { stage: "output", category: "slur" },
    });
    expect(JSON.stringify(body)).not.toMatch(/got|fag/);
    expect(body.usage.completion_tokens).toBe(4);
    expect((await backend.run(0)).isAborted).toBe(true);
  });

  it("streams the same as the JSON mode gives", async () => {
    const { client } = await startScripted({
      script: (run) => {
        for (const piece of ["All ", "fine. ", "You fag", "got ", "and more"]) run.say(piece);
      },
    });
    const chunks = await collect(client.chat(chat("hi")));
    const text = chunks.map((chunk) => (chunk.type === "text" ? chunk.text : "")).join("");
    expect(text).toBe("All fine. ");
    expect(chunks.at(-1)).toMatchObject({
      type: "end",
      reason: "content_filter",
      verdict: { stage: "output", category: "slur" },
      usage: { promptTokens: 2, completionTokens: 4 },
    });
  });

  it("is asked for before generation, which a block spares", async () => {
    const { url, backend } = await startScripted({ script: answer("ok") });
    const body = await (await post(url, ask("send me child porn", { n: 2 }))).json();
    expect(body.choices).toHaveLength(2);
    expect(body.choices[1]).toMatchObject({
      finish_reason: "content_filter",
      message: { content: "", refusal: "This message was withheld: it sexualises minors." },
      verdict: { stage: "input", category: "S4" },
    });
    const { data, last } = await readEvents(await post(url, ask("gas the jews", { stream: true })));
    expect(data[0].choices[0]).toMatchObject({
      delta: { refusal: expect.stringContaining("This message was withheld") },
      finish_reason: "content_filter",
    });
    expect(last).toBe("[DONE]");
    expect(backend.runs).toHaveLength(0);
  });

  it("is refused when a check cannot run", async () => {
    const broken = { name: "guard", check: () => Promise.reject(new Error("gone")) };
    const { url, backend } = await startScripted({ script: answer("ok"), moderators: [broken] });
    const body = await (await post(url, ask("hi"))).json();
    expect(body.choices[0]).toMatchObject({
      finish_reason: "content_filter",
      verdict: { category: "unchecked" },
    });
    expect(backend.runs).toHaveLength(0);
  });

  it("is withheld by a plugged-in moderator a passage at a time", async () => {
    const guard = {
      name: "guard",
      check: async ({ text }: { text: string }) => (text.includes("banana") ? [UNSAFE] : []),
    };
    const long = `${"word ".repeat(60)}banana ${"word ".repeat(60)}`;
    const { url } = await startScripted({ script: answer(long), moderators: [guard] });
    const body = await (await post(url, ask("hi"))).json();
    expect(body.choices[0]).toMatchObject({
      finish_reason: "content_filter",
      verdict: { category: "S2", stage: "output" },
    });
    expect(body.choices[0].message.content).toMatch(/^(word ?)+$/);
  });

  it("loses characters that hide or reorder text", async () => {
    const { url } = await startScripted({ script: answer("a\u202eb\u200bc ok") });
    const body = await (await post(url, ask("hi"))).json();
    expect(body.choices[0].message.content).toBe("abc ok");
  });
});
