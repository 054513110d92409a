import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { EditScheduler, EditSchedulers, type EditSource } from "#bot/answer/edit-scheduler.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A source that notes when it sends; `takesMs` is how long Discord makes it wait. */
function source(sent: string[], name: string, requests = 1, takesMs = 0): EditSource {
  let left = requests;
  return {
    sendNext: async () => {
      sent.push(`${name}@${performance.now()}`);
      if (takesMs > 0) await new Promise((resolve) => setTimeout(resolve, takesMs));
      left -= 1;
      return left > 0 ? "more" : "nothing";
    },
  };
}

describe("a channel's edits", () => {
  test("the first goes at once, the next a second later", async () => {
    const sent: string[] = [];
    const start = performance.now();
    const scheduler = new EditScheduler();
    scheduler.request(source(sent, "a", 3), "progress");
    await vi.advanceTimersByTimeAsync(2_500);
    expect(sent).toEqual([`a@${start}`, `a@${start + 1_000}`, `a@${start + 2_000}`]);
    expect(scheduler.isIdle).toBe(true);
  });

  test("answers in one channel take turns", async () => {
    const sent: string[] = [];
    const scheduler = new EditScheduler();
    scheduler.request(source(sent, "a", 2), "progress");
    scheduler.request(source(sent, "b", 2), "progress");
    await vi.advanceTimersByTimeAsync(5_000);
    expect(sent.map((entry) => entry[0])).toEqual(["a", "b", "a", "b"]);
  });

  test("a source that asks often waits only once", async () => {
    const sent: string[] = [];
    const scheduler = new EditScheduler();
    const one = source(sent, "a", 1);
    scheduler.request(source(sent, "x", 1), "progress");
    for (let n = 0; n < 50; n++) scheduler.request(one, "progress");
    await vi.advanceTimersByTimeAsync(5_000);
    expect(sent.map((entry) => entry[0])).toEqual(["x", "a"]);
  });

  test("a final state overtakes those in the making", async () => {
    const sent: string[] = [];
    const scheduler = new EditScheduler();
    scheduler.request(source(sent, "x"), "progress");
    scheduler.request(source(sent, "a"), "progress");
    scheduler.request(source(sent, "b"), "final");
    await vi.advanceTimersByTimeAsync(5_000);
    expect(sent.map((entry) => entry[0])).toEqual(["b", "x", "a"]);
  });

  test("nothing is sent while Discord says to wait", async () => {
    const sent: string[] = [];
    const schedulers = new EditSchedulers();
    const start = performance.now();
    schedulers.of("1").request(source(sent, "a", 2), "progress");
    await vi.advanceTimersByTimeAsync(10);
    schedulers.holdForMs("1", 4_000);
    schedulers.of("2").request(source(sent, "other"), "progress");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(sent).toEqual([`a@${start}`, `other@${start + 10}`, `a@${start + 4_010}`]);
  });

  test("a request that Discord delayed is followed by a pause, and never by a second one meanwhile", async () => {
    const sent: string[] = [];
    const start = performance.now();
    const scheduler = new EditScheduler();
    scheduler.request(source(sent, "a", 2, 3_000), "progress");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(sent).toEqual([`a@${start}`, `a@${start + 3_250}`]);
  });

  test("a channel has one scheduler, and idle ones are let go", async () => {
    const schedulers = new EditSchedulers();
    const first = schedulers.of("0");
    expect(schedulers.of("0")).toBe(first);
    for (let n = 1; n <= 1_000; n++) schedulers.of(String(n));
    expect(schedulers.of("0")).not.toBe(first);
  });
});
