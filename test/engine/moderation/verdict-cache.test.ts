import { describe, expect, it } from "vitest";
import { VerdictCache } from "#engine/moderation/verdict-cache.ts";

function counted(value: number) {
  const asks = { count: 0 };
  const ask = async () => {
    asks.count += 1;
    return value;
  };
  return { asks, ask };
}

describe("the cache of verdicts", () => {
  it("asks once for what is asked twice at a time, and later", async () => {
    const cache = new VerdictCache<number>(2);
    const { asks, ask } = counted(7);
    expect(await Promise.all([cache.get("a", ask), cache.get("a", ask)])).toEqual([7, 7]);
    expect(await cache.get("a", ask)).toBe(7);
    expect(asks.count).toBe(1);
  });

  it("never holds more than its limit, and forgets what was asked longest ago", async () => {
    const cache = new VerdictCache<number>(2);
    const { asks, ask } = counted(1);
    for (const key of ["a", "b", "a", "c"]) await cache.get(key, ask);
    expect(cache.size).toBe(2);
    await cache.get("a", ask);
    expect(asks.count).toBe(3);
    await cache.get("b", ask);
    expect(asks.count).toBe(4);
  });

  it("remembers no failure, and takes none from another's asking", async () => {
    const cache = new VerdictCache<number>(2);
    const gone = cache.get("a", () => Promise.reject(new Error("the other left")));
    const mine = cache.get("a", async () => 3);
    await expect(gone).rejects.toThrow("the other left");
    expect(await mine).toBe(3);
    expect(await cache.get("a", () => Promise.reject(new Error("asked again")))).toBe(3);
  });
});
