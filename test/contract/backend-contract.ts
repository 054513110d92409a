/** What every backend must do, whatever computes its tokens. */
import { describe, expect, it } from "vitest";
import type { Backend, GenerateEvent } from "#engine/backends/backend.ts";
import { isCoded } from "#engine/base/errors.ts";
import { ask, request as bareRequest } from "../engine/backends/ask.ts";

/** How to open a backend on a model with one adapter at hand. */
export type BackendUnderTest = {
  readonly open: () => Promise<Backend>;
  /** The adapter's file, and the name to load it by. */
  readonly adapter: { readonly name: string; readonly path: string };
};

/** Asks something that takes more tokens to answer than are granted. */
const request: typeof bareRequest = (content, more) =>
  bareRequest(`Tell me a lot about ${content}.`, more);
const long = (content: string) => request(content, { maxTokens: 400 });

/** Runs the part about single answers; `open` may give the same backend each time. */
export function backendContract(name: string, { open }: BackendUnderTest): void {
  describe(`${name} as a backend`, () => {
    it("says who it is and how much it holds", async () => {
      const { info } = await open();
      expect(info.id).toMatch(/^[^:/]+$/);
      expect(info.sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(info.contextTokens).toBeGreaterThan(0);
      expect(info.streams).toBeGreaterThan(0);
    });

    it("reports a start, text, and one end, and counts its tokens", async () => {
      const backend = await open();
      const events: GenerateEvent[] = [];
      for await (const event of backend.generate(request("volcanoes", { maxTokens: 9 }))) {
        events.push(event);
      }
      expect(events[0]).toMatchObject({ type: "start", adapter: null });
      expect(events.at(-1)).toMatchObject({ type: "end", reason: "length", completionTokens: 9 });
      expect(events.slice(1, -1).every(({ type }) => type === "text")).toBe(true);
    });

    it("gives the same greedy answer twice", async () => {
      const backend = await open();
      const first = await ask(backend, request("rivers"));
      expect((await ask(backend, request("rivers"))).text).toBe(first.text);
      expect(first.text).not.toBe("");
    });

    it("stops before a stop string, and says stop", async () => {
      const backend = await open();
      const { text } = await ask(backend, request("volcanoes"));
      const stop = text.slice(4, 7);
      const stopped = await ask(backend, request("volcanoes", { stop: [stop] }));
      expect(stopped.text).toBe(text.slice(0, text.indexOf(stop)));
      expect(stopped.end.reason).toBe("stop");
    });

    it("reports log-probabilities with as many alternatives as asked for", async () => {
      const backend = await open();
      let tokens = 0;
      for await (const event of backend.generate(request("volcanoes", { topLogprobs: 3 }))) {
        for (const { logprob, top } of event.type === "text" ? (event.logprobs ?? []) : []) {
          tokens += 1;
          expect(logprob).toBeLessThanOrEqual(0);
          expect(top).toHaveLength(3);
        }
      }
      expect(tokens).toBeGreaterThan(0);
    });

    it("answers in JSON of a schema", async () => {
      const backend = await open();
      const properties = { mood: { enum: ["good", "bad"] }, stars: { enum: [1, 2, 3] } };
      const required = ["mood", "stars"];
      const schema = { type: "object", properties, required, additionalProperties: false };
      const shape = { type: "json", schema } as const;
      const { text, end } = await ask(backend, request("moods", { shape, maxTokens: 200 }));
      expect(end.reason).toBe("stop");
      expect(JSON.parse(text)).toEqual({
        mood: expect.stringMatching(/^(good|bad)$/),
        stars: expect.any(Number),
      });
    });

    it("refuses an adapter that it does not have, and a conversation without messages", async () => {
      const backend = await open();
      const codeOf = (work: Promise<unknown>) =>
        work.then(
          () => undefined,
          (error: unknown) => (isCoded(error) ? error.code : error),
        );
      expect(await codeOf(ask(backend, request("bees", { adapter: "none" })))).toBe(
        "adapter_unknown",
      );
      expect(await codeOf(ask(backend, request("bees", { messages: [] })))).toBe("invalid_request");
    });
  });
}

/** Runs the part about readers who leave, many at once, and adapters. */
export function backendContractUnderLoad(name: string, { open, adapter }: BackendUnderTest): void {
  describe(`${name} as a backend of many`, () => {
    it("ends an aborted answer as aborted, and serves on", async () => {
      const backend = await open();
      const leave = new AbortController();
      const events: GenerateEvent[] = [];
      for await (const event of backend.generate({ ...long("volcanoes"), signal: leave.signal })) {
        events.push(event);
        leave.abort();
      }
      expect(events.at(-1)).toMatchObject({ type: "end", reason: "aborted" });
      expect((await ask(backend, request("volcanoes"))).text).not.toBe("");
    });

    it("frees the place of a reader who left", async () => {
      const backend = await open();
      for (let i = 0; i < 2 * backend.info.streams; i++) {
        for await (const event of backend.generate(long("volcanoes")))
          if (event.type === "text") break;
      }
      expect((await ask(backend, request("volcanoes"))).text).not.toBe("");
      await expect.poll(() => backend.stats().busyStreams).toBe(0);
    });

    it("answers many at once, each as by itself", async () => {
      const backend = await open();
      const questions = ["cats", "dogs", "bread", "tea", "rain", "gold"];
      const together = await Promise.all(
        questions.map((text) => ask(backend, request(text, { maxTokens: 9 }))),
      );
      expect(together.map(({ end }) => end.completionTokens)).toEqual(questions.map(() => 9));
    });

    it("answers under an adapter as if it had never answered without, and the other way round", async () => {
      const backend = await open();
      const bare = await ask(backend, request("castles"));
      await backend.loadAdapter(adapter.name, adapter.path);
      expect(backend.loadedAdapters()).toContain(adapter.name);
      const adapted = await ask(backend, request("castles", { adapter: adapter.name }));
      expect(adapted.adapter).toBe(adapter.name);
      expect(adapted.text).not.toBe(bare.text);
      expect((await ask(backend, request("castles"))).text).toBe(bare.text);
      await backend.unloadAdapter(adapter.name);
      expect(backend.loadedAdapters()).not.toContain(adapter.name);
    });
  });
}
