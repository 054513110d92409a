import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type CacheSetting,
  describePlan,
  type MemoryNeeds,
  planCache,
  shrinkCache,
} from "#engine/llama/memory-plan.ts";

/** 1,000 bytes a token: a conversation of 512 tokens takes 512,000, of 0.7 of what is there. */
function needs(availableBytes: number, more: Partial<MemoryNeeds> = {}): MemoryNeeds {
  return {
    streams: 4,
    contextTokens: 500,
    cacheBytesPerToken: 1000,
    weightsBytes: 5 << 20,
    scratchBytes: 0,
    setting: "auto",
    availableBytes,
    onGpu: false,
    ...more,
  };
}

describe("planCache", () => {
  test("each conversation gets cells of its own where memory holds them, the shared prompt's included", () => {
    const enough = (5 * 512 * 1000) / 0.7 + 1;
    expect(planCache(needs(enough))).toEqual({ pooled: false, streams: 4, cells: 5 * 512 });
  });

  test("all share a pool where it does not, of the cells that fit", () => {
    expect(planCache(needs(2_000_000))).toEqual({ pooled: true, streams: 4, cells: 1280 });
  });

  test("on a CPU a quarter of many conversations with cells of their own go before a pool of all", () => {
    const few = (9 * 512 * 1000) / 0.7 + 1;
    const own = { pooled: false, streams: 8, cells: 9 * 512 };
    expect(planCache(needs(few, { streams: 32 }))).toEqual(own);
    expect(planCache(needs(few, { streams: 33 }))).toMatchObject({ pooled: true, streams: 33 });
    expect(planCache(needs(few, { streams: 32, onGpu: true }))).toMatchObject({ pooled: true });
    const fewer = needs(few - 512_000, { streams: 28 });
    expect(planCache(fewer)).toMatchObject({ pooled: true, streams: 28 });
    expect(planCache(needs(few, { streams: 32, setting: "pool" }))).toMatchObject({ pooled: true });
  });

  test("scratch is set aside first", () => {
    const layout = planCache(needs(2_000_000, { scratchBytes: 400_000 }));
    expect(layout).toEqual({ pooled: true, streams: 4, cells: 768 });
  });

  test("cells of one's own on request mean fewer conversations when memory is short", () => {
    const layout = planCache(needs(3_000_000, { setting: "sequences" }));
    expect(layout).toEqual({ pooled: false, streams: 3, cells: 4 * 512 });
  });

  test("what is planned fits, as long as one conversation does", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 4096 }),
        fc.integer({ min: 0, max: 2 ** 34 }),
        fc.constantFrom<CacheSetting>("auto", "sequences", "pool"),
        fc.boolean(),
        (streams, contextTokens, availableBytes, setting, onGpu) => {
          const asked = needs(availableBytes, { streams, contextTokens, setting, onGpu });
          const { cells, pooled, ...layout } = planCache(asked);
          const own = Math.ceil(contextTokens / 256) * 256;
          const least = pooled ? own : 2 * own;
          expect(cells).toBeGreaterThanOrEqual(own);
          expect(layout.streams).toBeLessThanOrEqual(streams);
          if (cells > least) expect(cells * 1000).toBeLessThanOrEqual(0.7 * availableBytes);
        },
      ),
    );
  });
});

describe("shrinkCache", () => {
  test("halves until one conversation is left, then gives up", () => {
    let layout: ReturnType<typeof shrinkCache> = { pooled: true, streams: 4, cells: 2048 };
    const cells: number[] = [];
    while (layout !== undefined) {
      cells.push(layout.cells);
      layout = shrinkCache(layout, 500);
    }
    expect(cells).toEqual([2048, 1024, 512]);
    expect(shrinkCache({ pooled: false, streams: 1, cells: 1024 }, 500)).toBeUndefined();
    expect(shrinkCache({ pooled: false, streams: 4, cells: 2560 }, 500)).toEqual({
      pooled: false,
      streams: 2,
      cells: 1536,
    });
  });
});

describe("describePlan", () => {
  test("names each part's size and why the cells are divided as they are", () => {
    const ample = needs(100 * 2 ** 20);
    const text = describePlan(ample, planCache(ample), "f16");
    expect(text).toContain("weights 5 MiB + KV 3 MiB (f16)");
    expect(text).toContain("100 MiB are free beside the weights");
    expect(text).toContain("Each of 4 conversations has 512 cells of its own");
    const few = needs((9 * 512 * 1000) / 0.7 + 1, { streams: 32 });
    expect(describePlan(few, planCache(few), "f16")).toContain(
      "Each of 8 conversations (32 do not fit) has 512 cells of its own, as a pool would be slower. More of them wait for one to end.",
    );
    const short = needs(2_000_000);
    expect(describePlan(short, planCache(short), "q8_0")).toContain(
      "4 conversations share a pool of 1280 cells, as cells of their own would take 3 MiB; a request waits",
    );
  });
});
