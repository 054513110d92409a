import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countMicroBatches, type Demand, planBatch } from "#engine/llama/batch-plan.ts";

const demandsOf = fc
  .uniqueArray(fc.nat(31), { maxLength: 32 })
  .chain((ids) =>
    fc.tuple(
      ...ids.map((sequence) =>
        fc.record({
          sequence: fc.constant(sequence),
          tokens: fc.integer({ min: 1, max: 90 }),
          decoding: fc.boolean(),
          order: fc.nat(1000),
        }),
      ),
    ),
  )
  .map((demands: readonly Demand[]) =>
    demands.map((demand) => ({ ...demand, tokens: demand.decoding ? 1 : demand.tokens })),
  );
const capacity = fc.integer({ min: 32, max: 128 });

function generating(sequence: number): Demand {
  return { sequence, tokens: 1, decoding: true, order: 0 };
}

function prompt(sequence: number, tokens: number, order: number): Demand {
  return { sequence, tokens, decoding: false, order };
}

describe("planBatch", () => {
  test("gives every generating sequence its token, however many prompts wait", () => {
    fc.assert(
      fc.property(demandsOf, capacity, (demands, room) => {
        const shares = new Map(planBatch(demands, room).map((share) => [share.sequence, share]));
        for (const { sequence, decoding } of demands) {
          if (decoding) expect(shares.get(sequence)).toMatchObject({ tokens: 1, complete: true });
        }
      }),
    );
  });

  test("fills the batch, and overfills it never", () => {
    fc.assert(
      fc.property(demandsOf, capacity, (demands, room) => {
        const planned = planBatch(demands, room).reduce((sum, { tokens }) => sum + tokens, 0);
        const wanted = demands.reduce((sum, { tokens }) => sum + tokens, 0);
        expect(planned).toBe(Math.min(room, wanted));
      }),
    );
  });

  test("lists sequences in ascending id, each once, with at least a token", () => {
    fc.assert(
      fc.property(demandsOf, capacity, (demands, room) => {
        const shares = planBatch(demands, room);
        const ids = shares.map(({ sequence }) => sequence);
        expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
        expect(shares.every(({ tokens }) => tokens >= 1)).toBe(true);
      }),
    );
  });

  test("serves prompts in their order and cuts the last one short", () => {
    const shares = planBatch([prompt(3, 20, 1), prompt(1, 20, 2), generating(2)], 32);
    expect(shares).toEqual([
      { sequence: 1, tokens: 11, complete: false },
      { sequence: 2, tokens: 1, complete: true },
      { sequence: 3, tokens: 20, complete: true },
    ]);
  });

  test("finishes every prompt within as many batches as their tokens need", () => {
    fc.assert(
      fc.property(demandsOf, capacity, (demands, room) => {
        let left = demands.filter(({ decoding }) => !decoding);
        const batches = Math.ceil(left.reduce((sum, { tokens }) => sum + tokens, 0) / room);
        for (let batch = 0; batch < batches; batch += 1) {
          const shares = new Map(planBatch(left, room).map((share) => [share.sequence, share]));
          left = left
            .map((demand) => ({
              ...demand,
              tokens: demand.tokens - (shares.get(demand.sequence)?.tokens ?? 0),
            }))
            .filter(({ tokens }) => tokens > 0);
        }
        expect(left).toEqual([]);
      }),
    );
  });
});

describe("countMicroBatches", () => {
  test("eight generating sequences with adjoining ids are one micro-batch", () => {
    const shares = planBatch(
      Array.from({ length: 8 }, (_, id) => generating(id)),
      512,
    );
    expect(countMicroBatches(shares, 512)).toBe(1);
  });

  test("eight that were left in descending order would be eight", () => {
    const shares = planBatch(
      Array.from({ length: 8 }, (_, id) => generating(id)),
      512,
    );
    expect(countMicroBatches([...shares].reverse(), 512)).toBe(8);
  });

  test("a gap between ids costs one more", () => {
    const shares = planBatch([generating(0), generating(1), generating(4)], 512);
    expect(countMicroBatches(shares, 512)).toBe(2);
  });

  test("a prompt rides with the generating ones, and its rest goes alone", () => {
    const shares = planBatch([generating(0), prompt(1, 40, 1), generating(2)], 512);
    expect(countMicroBatches(shares, 512)).toBe(2);
  });
});
