import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  countMicroBatches,
  type Demand,
  planBatch,
  type Share,
} from "#engine/llama/loop/batch-plan.ts";

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

const pool = (room: number) => ({ capacity: room, pooled: true, promptBatches: 0 });
const own = (room: number, promptBatches = 0) => ({ capacity: room, pooled: false, promptBatches });

/** What is left of the demands after a batch; a generating sequence always has one more token. */
function after(demands: readonly Demand[], shares: readonly Share[]): readonly Demand[] {
  const taken = new Map(shares.map(({ sequence, tokens }) => [sequence, tokens]));
  return demands
    .map((demand) => ({ ...demand, tokens: demand.tokens - (taken.get(demand.sequence) ?? 0) }))
    .map((demand) => (demand.tokens === 0 ? { ...demand, tokens: 1, decoding: true } : demand));
}

describe("every plan", () => {
  test("lists sequences in ascending id, each once, with at least a token, within the batch", () => {
    fc.assert(
      fc.property(demandsOf, capacity, fc.boolean(), fc.nat(5), (demands, room, pooled, before) => {
        const shares = planBatch(demands, { capacity: room, pooled, promptBatches: before });
        const ids = shares.map(({ sequence }) => sequence);
        expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
        expect(shares.every(({ tokens }) => tokens >= 1)).toBe(true);
        expect(shares.reduce((sum, { tokens }) => sum + tokens, 0)).toBeLessThanOrEqual(room);
        expect(shares.length > 0).toBe(demands.length > 0);
        for (const { sequence, tokens, complete } of shares) {
          const wanted = demands.find((demand) => demand.sequence === sequence)?.tokens ?? 0;
          expect(complete).toBe(tokens === wanted);
        }
      }),
    );
  });
});

describe("a plan for a pool", () => {
  test("gives every generating sequence its token, however many prompts wait, and fills the batch", () => {
    fc.assert(
      fc.property(demandsOf, capacity, (demands, room) => {
        const plan = planBatch(demands, pool(room));
        const shares = new Map(plan.map((share) => [share.sequence, share]));
        for (const { sequence, decoding } of demands) {
          if (decoding) expect(shares.get(sequence)).toMatchObject({ tokens: 1, complete: true });
        }
        const planned = plan.reduce((sum, { tokens }) => sum + tokens, 0);
        const wanted = demands.reduce((sum, { tokens }) => sum + tokens, 0);
        expect(planned).toBe(Math.min(room, wanted));
        expect(countMicroBatches(plan, room, true)).toBe(demands.length === 0 ? 0 : 1);
      }),
    );
  });

  test("serves prompts in their order and cuts the last one short", () => {
    const shares = planBatch([prompt(3, 20, 1), prompt(1, 20, 2), generating(2)], pool(32));
    expect(shares).toEqual([
      { sequence: 1, tokens: 11, complete: false },
      { sequence: 2, tokens: 1, complete: true },
      { sequence: 3, tokens: 20, complete: true },
    ]);
  });
});

describe("a plan for cells of one's own", () => {
  test("is one micro-batch for prompts, and for the generating ones one a run of adjoining ids", () => {
    fc.assert(
      fc.property(demandsOf, capacity, fc.nat(5), (demands, room, before) => {
        const shares = planBatch(demands, own(room, before));
        const ids = demands.filter((demand) => demand.decoding).map((demand) => demand.sequence);
        const runs = ids.filter((id) => !ids.includes(id + 1)).length;
        expect(countMicroBatches(shares, room, false)).toBeLessThanOrEqual(Math.max(1, runs));
      }),
    );
  });

  test("those who generate get a token after eight batches of prompts at most, all together", () => {
    fc.assert(
      fc.property(demandsOf, capacity, (demands, room) => {
        const ids = demands.filter(({ decoding }) => decoding).map(({ sequence }) => sequence);
        const shares = planBatch(demands, own(room, 8));
        if (ids.length === 0) return;
        const served = shares.filter(({ sequence }) => ids.includes(sequence));
        expect(served.map(({ sequence }) => sequence).toSorted()).toEqual(ids.toSorted());
        expect(served.every(({ tokens }) => tokens === 1)).toBe(true);
      }),
    );
  });

  test("a latecomer's prompt takes turns with those who generate", () => {
    const demands = [generating(0), generating(1), prompt(2, 300, 1)];
    expect(planBatch(demands, own(128, 0))).toEqual([
      { sequence: 2, tokens: 100, complete: false },
    ]);
    expect(planBatch(demands, own(128, 1)).map(({ sequence }) => sequence)).toEqual([0, 1]);
  });

  test("a full house at once is read before it generates, the oldest prompt first", () => {
    const demands = [generating(0), ...[1, 2, 3, 4].map((id) => prompt(id, 100, 10 - id))];
    const orders = [0, 1, 2, 3].map((before) => planBatch(demands, own(128, before))[0]?.sequence);
    expect(orders).toEqual([4, 4, 4, 4]);
    expect(planBatch(demands, own(128, 4)).map(({ sequence }) => sequence)).toEqual([0]);
  });

  test("short prompts of neighbours go together as far as they are alike", () => {
    const demands = [prompt(0, 20, 2), prompt(1, 20, 1), prompt(2, 40, 3), prompt(3, 10, 4)];
    expect(planBatch(demands, own(64))).toEqual([
      { sequence: 0, tokens: 20, complete: true },
      { sequence: 1, tokens: 20, complete: true },
      { sequence: 2, tokens: 20, complete: false },
    ]);
  });

  test("a prompt between two who generate adds a token, so that their ids adjoin", () => {
    const demands = [generating(0), prompt(1, 40, 1), generating(2), prompt(3, 40, 2)];
    const shares = planBatch(demands, own(64, 4));
    expect(shares.map(({ sequence, tokens }) => [sequence, tokens])).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
    ]);
    expect(countMicroBatches(shares, 64, false)).toBe(1);
  });

  test("every prompt is read in the end, whoever generates meanwhile", () => {
    fc.assert(
      fc.property(demandsOf, capacity, (given, room) => {
        let demands: readonly Demand[] = given;
        let promptBatches = 0;
        for (let batch = 0; demands.some(({ decoding }) => !decoding); batch += 1) {
          expect(batch).toBeLessThan(2 * 32 * 3);
          const shares = planBatch(demands, own(room, promptBatches));
          const ids = new Set(shares.map(({ sequence }) => sequence));
          const generates = demands.some(({ sequence, decoding }) => decoding && ids.has(sequence));
          promptBatches = generates ? 0 : promptBatches + 1;
          demands = after(demands, shares);
        }
      }),
    );
  });
});

describe("a long prompt", () => {
  test("is read in as few pieces as fit, all of about a size", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), capacity, (tokens, room) => {
        const pieces: number[] = [];
        for (let left = tokens; left > 0; left -= pieces.at(-1) ?? left) {
          const [share] = planBatch([prompt(0, left, 1)], own(room));
          pieces.push(share?.tokens ?? 0);
        }
        expect(pieces).toHaveLength(Math.ceil(tokens / room));
        expect(Math.max(...pieces) - Math.min(...pieces)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe("countMicroBatches", () => {
  const shares = (...ids: readonly number[]) =>
    ids.map((sequence) => ({ sequence, tokens: 1, complete: true }));

  test("eight generating sequences with adjoining ids are one micro-batch", () => {
    expect(countMicroBatches(shares(0, 1, 2, 3, 4, 5, 6, 7), 512, false)).toBe(1);
  });

  test("eight that were left in descending order would be eight", () => {
    expect(countMicroBatches(shares(7, 6, 5, 4, 3, 2, 1, 0), 512, false)).toBe(8);
  });

  test("a gap between ids costs one more, but in a pool", () => {
    expect(countMicroBatches(shares(0, 1, 4), 512, false)).toBe(2);
    expect(countMicroBatches(shares(0, 1, 4), 512, true)).toBe(1);
  });

  test("a prompt rides with the generating ones, and its rest goes alone", () => {
    const mixed = [...shares(0), { sequence: 1, tokens: 40, complete: true }, ...shares(2)];
    expect(countMicroBatches(mixed, 512, false)).toBe(2);
  });
});
