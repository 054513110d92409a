import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StreamNews } from "#engine/llama/loop/loop-wire.ts";
import { Outbox } from "#engine/llama/loop/outbox.ts";

const start = (id: number): StreamNews => ({
  id,
  event: { type: "start", promptTokens: 1, adapter: null },
});
const text = (id: number, words: string, tokenId = 0): StreamNews => ({
  id,
  event: { type: "text", text: words, tokenIds: [tokenId] },
});
const end = (id: number): StreamNews => ({
  id,
  event: { type: "end", reason: "stop", completionTokens: 1 },
});

/** An outbox whose completion has shown its first texts, at time 0. */
function begun(): Outbox {
  const outbox = new Outbox();
  outbox.add(start(1));
  for (let i = 0; i < 4; i += 1) {
    outbox.add(text(1, "a"));
    outbox.take(0);
  }
  return outbox;
}

type Step = { readonly ids: readonly number[]; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.record({
  ids: fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { minLength: 1 }),
  ms: fc.double({ min: 0.1, max: 60, noNaN: true }),
});

/** Steps of several completions through one outbox, with what was written and what was told. */
class Course {
  readonly #outbox = new Outbox();
  readonly #written = new Map<number, string>();
  readonly #told = new Map<number, string>();
  #nowMs = 0;
  #tokens = 0;
  #waitsSinceMs: number | undefined;

  run(steps: readonly Step[]): void {
    for (const step of steps) this.#take(step);
    this.#send();
    expect(this.#told).toEqual(this.#written);
  }

  #take({ ids, ms }: Step): void {
    this.#nowMs += ms;
    for (const id of ids) {
      this.#tokens += 1;
      this.#outbox.add(text(id, `${this.#tokens} `, this.#tokens));
      this.#written.set(id, `${this.#written.get(id) ?? ""}${this.#tokens} `);
    }
    this.#waitsSinceMs ??= this.#nowMs;
    if (this.#outbox.isDue(this.#nowMs, ms)) this.#send();
    // A next step as long as this one brings it in time.
    else expect(this.#nowMs - this.#waitsSinceMs + ms).toBeLessThanOrEqual(16);
  }

  #send(): void {
    this.#waitsSinceMs = undefined;
    for (const news of this.#outbox.take(this.#nowMs)) {
      if (!("event" in news) || news.event.type !== "text") throw new Error("only texts");
      expect(news.event.text).toBe(news.event.tokenIds.map((id) => `${id} `).join(""));
      this.#told.set(news.id, (this.#told.get(news.id) ?? "") + news.event.text);
    }
  }
}

describe("Outbox", () => {
  test("lets a completion's begin and first four texts go at once, as a check may hold some of them", () => {
    const outbox = new Outbox();
    outbox.add(start(1));
    expect(outbox.isDue(0, 1)).toBe(true);
    outbox.take(0);
    const due = ["a", "b", "c", "d", "e"].map((word, i) => {
      outbox.add(text(1, word));
      const isDue = outbox.isDue(i / 10, 1);
      if (isDue) outbox.take(i / 10);
      return isDue;
    });
    expect(due).toEqual([true, true, true, true, false]);
  });

  test("joins the texts of quick steps, with tokens and log-probabilities", () => {
    const outbox = begun();
    const report = (token: string) => ({ token, bytes: [], logprob: -1, top: [] });
    for (const token of ["b", "c"]) {
      outbox.add({
        id: 1,
        event: { type: "text", text: token, tokenIds: [7], logprobs: [report(token)] },
      });
      expect(outbox.isDue(5, 2)).toBe(false);
    }
    expect(outbox.take(6)).toEqual([
      {
        id: 1,
        event: {
          type: "text",
          text: "bc",
          tokenIds: [7, 7],
          logprobs: [report("b"), report("c")],
        },
      },
    ]);
  });

  test("does not let text wait for a step that takes longer than a picture on a screen", () => {
    const outbox = begun();
    outbox.add(text(1, "b"));
    expect(outbox.isDue(2, 2)).toBe(false);
    expect(outbox.isDue(2, 40)).toBe(true);
    expect(outbox.isDue(15, 2)).toBe(true);
  });

  test("lets an end and a failure go at once, and what waited before them", () => {
    for (const last of [end(1), { id: 1, failure: { message: "broken", code: undefined } }]) {
      const outbox = begun();
      outbox.add(text(1, "b"));
      outbox.add(last);
      expect(outbox.isDue(1, 1)).toBe(true);
      expect(outbox.take(1)).toEqual([text(1, "b"), last]);
    }
  });

  test("waits with nothing once it was told to hurry", () => {
    const outbox = begun();
    outbox.add(text(1, "b"));
    outbox.hurry();
    expect(outbox.isDue(1, 1)).toBe(true);
    outbox.take(1);
    outbox.add(text(1, "c"));
    expect(outbox.isDue(2, 1)).toBe(false);
  });

  test("keeps each completion's news in order and whole, however steps and messages fall", () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => new Course().run(steps)));
  });
});
