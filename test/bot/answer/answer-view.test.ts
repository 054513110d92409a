import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AnswerView, type MessageSurface } from "#bot/answer/answer-view.ts";
import { EditScheduler } from "#bot/answer/edit-scheduler.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A channel in memory; `failures` are thrown by the next requests. */
function channel(failures: unknown[] = []) {
  const messages = new Map<string, string>();
  let requests = 0;
  const request = () => {
    requests += 1;
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
  };
  const surface: MessageSurface = {
    create: async ({ content }) => {
      request();
      const id = `m${requests}`;
      messages.set(id, content);
      return id;
    },
    edit: async (id, { content }) => {
      request();
      messages.set(id, content);
    },
    remove: async (id) => {
      request();
      messages.delete(id);
    },
    isGone: (error) => error === "gone",
  };
  return { surface, contents: () => [...messages.values()], requests: () => requests };
}

describe("an answer in the making", () => {
  test("only the newest state is sent when its turn comes", async () => {
    const room = channel();
    const view = new AnswerView(room.surface, new EditScheduler());
    for (let n = 0; n < 99; n++) {
      view.show([{ content: `state ${n}` }]);
      await vi.advanceTimersByTimeAsync(20);
    }
    expect(room.requests()).toBe(2);
    const finished = view.finish([{ content: "done" }]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await finished).toEqual({ kind: "shown", messageIds: ["m1"] });
    expect(room.contents()).toEqual(["done"]);
    expect(room.requests()).toBe(3);
  });

  test("whatever was shown and failed before, the last state is what stands", async () => {
    const state = fc.array(
      fc.constantFrom("a", "b", "c").map((content) => ({ content })),
      { minLength: 1, maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(state, { maxLength: 8 }),
        state,
        fc.nat(3),
        async (states, last, fails) => {
          const room = channel(Array.from({ length: fails }, () => "hiccup"));
          const view = new AnswerView(room.surface, new EditScheduler());
          for (const contents of states) {
            view.show(contents);
            await vi.advanceTimersByTimeAsync(400);
          }
          const finished = view.finish(last);
          await vi.advanceTimersByTimeAsync(60_000);
          expect((await finished).kind).toBe("shown");
          expect(room.contents()).toEqual(last.map(({ content }) => content));
        },
      ),
      { numRuns: 50 },
    );
  });

  test("a deleted message ends the answer and says so once", async () => {
    const room = channel([undefined, "gone"]);
    const gone: unknown[] = [];
    const view = new AnswerView(room.surface, new EditScheduler(), (cause) => gone.push(cause));
    view.show([{ content: "a" }]);
    await vi.advanceTimersByTimeAsync(0);
    view.show([{ content: "b" }]);
    await vi.advanceTimersByTimeAsync(5_000);
    view.show([{ content: "c" }]);
    expect(gone).toEqual(["gone"]);
    expect(await view.finish([{ content: "d" }])).toEqual({
      kind: "lost",
      messageIds: ["m1"],
      cause: "gone",
    });
    expect(room.requests()).toBe(2);
  });

  test("a final state that never gets through is given up after five tries", async () => {
    const room = channel(Array.from({ length: 9 }, () => "hiccup"));
    const view = new AnswerView(room.surface, new EditScheduler());
    const finished = view.finish([{ content: "a" }]);
    await vi.advanceTimersByTimeAsync(30_000);
    expect((await finished).kind).toBe("lost");
    expect(room.requests()).toBe(5);
  });
});
