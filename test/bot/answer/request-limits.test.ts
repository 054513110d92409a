import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RequestLimits } from "#bot/answer/request-limits.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const never = () => undefined;

/** Work that ends when told to. */
function job() {
  const { promise, resolve } = Promise.withResolvers<string>();
  return { work: () => promise, end: () => resolve("answer") };
}

describe("limits", () => {
  test("a person's questions beyond the minute's number are refused, and taken again later", async () => {
    const limits = new RequestLimits({ personRequestsPerMinute: 3, guildConcurrentRequests: 9 });
    const ask = () => limits.run({ person: "p", guild: "g" }, async () => "answer", never);
    const all = Promise.all([ask(), ask(), ask(), ask(), ask()]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await all).map((admission) => admission.kind)).toEqual([
      "done",
      "done",
      "done",
      "refused",
      "refused",
    ]);
    expect((await all)[4]).toEqual({
      kind: "refused",
      reason: "person_rate",
      retryAfterSeconds: 20,
    });
    const other = limits.run({ person: "q", guild: "g" }, async () => "answer", never);
    await vi.advanceTimersByTimeAsync(21_000);
    expect((await other).kind).toBe("done");
    const again = ask();
    await vi.advanceTimersByTimeAsync(100);
    expect((await again).kind).toBe("done");
    await limits.disconnect();
  });

  test("those who wait learn their place each time it changes, and nobody else hears of one", async () => {
    const limits = new RequestLimits({ personRequestsPerMinute: 60, guildConcurrentRequests: 2 });
    const heard: string[] = [];
    const jobs = Array.from({ length: 5 }, job);
    const runs = jobs.map(({ work }, n) =>
      limits.run({ person: `p${n}`, guild: "g" }, work, (position) =>
        heard.push(`${n}:${position}`),
      ),
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(heard).toEqual(["2:0", "3:1", "4:2"]);
    expect(limits.waiting).toBe(3);
    jobs[0]?.end();
    await vi.advanceTimersByTimeAsync(100);
    expect(heard.slice(3)).toEqual(["3:0", "4:1"]);
    for (const { end } of jobs) end();
    await vi.advanceTimersByTimeAsync(500);
    expect((await Promise.all(runs)).every(({ kind }) => kind === "done")).toBe(true);
    expect(limits.waiting).toBe(0);
    await limits.disconnect();
  });

  test("one server's queue is bounded and does not hold up another's", async () => {
    const limits = new RequestLimits({ personRequestsPerMinute: 60, guildConcurrentRequests: 1 });
    const { work, end } = job();
    const runs: Promise<unknown>[] = [];
    for (let n = 0; n < 33; n++) {
      runs.push(limits.run({ person: `p${n}`, guild: "g" }, work, never));
      await vi.advanceTimersByTimeAsync(20);
    }
    const late = await limits.run({ person: "late", guild: "g" }, work, never);
    expect(late).toEqual({ kind: "refused", reason: "guild_queue_full" });
    const elsewhere = limits.run({ person: "x", guild: "h" }, async () => "answer", never);
    await vi.advanceTimersByTimeAsync(100);
    expect((await elsewhere).kind).toBe("done");
    end();
    await vi.advanceTimersByTimeAsync(1_000);
    await Promise.all(runs);
    await limits.disconnect();
  });
});

describe("places in a server's queue", () => {
  test("closing refuses what waits and lets finish what runs", async () => {
    const limits = new RequestLimits({ personRequestsPerMinute: 60, guildConcurrentRequests: 1 });
    const { work, end } = job();
    const running = limits.run({ person: "a", guild: "g" }, work, never);
    const waiting = limits.run({ person: "b", guild: "g" }, work, never);
    await vi.advanceTimersByTimeAsync(100);
    limits.close();
    end();
    await vi.advanceTimersByTimeAsync(100);
    expect((await running).kind).toBe("done");
    expect(await waiting).toEqual({ kind: "refused", reason: "closing" });
    expect(await limits.run({ person: "c", guild: "g" }, work, never)).toMatchObject({
      reason: "closing",
    });
    await limits.disconnect();
  });

  test("work that fails gives its place back", async () => {
    const limits = new RequestLimits({ personRequestsPerMinute: 60, guildConcurrentRequests: 1 });
    const failing = limits
      .run({ person: "a", guild: "g" }, () => Promise.reject(new Error("broken")), never)
      .catch((error: unknown) => String(error));
    const next = limits.run({ person: "b", guild: "g" }, async () => "answer", never);
    await vi.advanceTimersByTimeAsync(200);
    expect(await failing).toContain("broken");
    expect((await next).kind).toBe("done");
    await limits.disconnect();
  });
});
