import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type CachedSequence,
  commonPrefix,
  placePrompt,
  seatBeside,
} from "#engine/llama/loop/sequence-cache.ts";

const range = (start: number, length: number) => Array.from({ length }, (_, i) => start + i);

function sequence(id: number, tokens: readonly number[], more = {}): CachedSequence {
  return { id, tokens, busy: false, lastUse: tokens.length === 0 ? 0 : id + 1, ...more };
}

describe("placePrompt", () => {
  test("a conversation returns to the sequence that holds it", () => {
    const prompt = range(0, 60);
    const held = [sequence(0, range(500, 40)), sequence(1, range(0, 50)), sequence(2, [])];
    expect(placePrompt(prompt, 0, held)).toEqual({ id: 1, kept: 50, continues: true });
  });

  test("the same prompt again leaves one token to compute", () => {
    expect(placePrompt(range(0, 60), 0, [sequence(0, range(0, 60))])).toEqual({
      ...{ id: 0, kept: 59, continues: true },
    });
  });

  test("a stranger with the same system prompt does not take over a conversation", () => {
    const system = range(0, 40);
    const held = [sequence(0, [...system, ...range(100, 30)]), sequence(1, [])];
    expect(placePrompt([...system, ...range(200, 30)], 40, held)).toEqual({
      ...{ id: 1, kept: 0, continues: false },
    });
  });

  test("without an empty sequence the one idle for longest gives way, its system prompt kept", () => {
    const system = range(0, 40);
    const held = [
      sequence(0, [...system, ...range(100, 30)], { lastUse: 9 }),
      sequence(1, [...system, ...range(300, 30)], { lastUse: 4 }),
    ];
    expect(placePrompt([...system, ...range(200, 30)], 40, held)).toEqual({
      ...{ id: 1, kept: 40, continues: false },
    });
  });

  test("a busy sequence is never given out, whatever it holds", () => {
    const held = [sequence(0, range(0, 50), { busy: true }), sequence(1, range(900, 9))];
    expect(placePrompt(range(0, 60), 0, held)).toEqual({ id: 1, kept: 0, continues: false });
    expect(placePrompt(range(0, 60), 0, held.slice(0, 1))).toBeUndefined();
  });

  test("what is kept is always a common prefix that leaves a token", () => {
    const tokens = fc.array(fc.nat(2), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(tokens, fc.array(tokens, { maxLength: 6 }), fc.nat(20), (prompt, all, shared) => {
        const held = all.map((cached, id) => sequence(id, cached));
        const placement = placePrompt(prompt, shared, held);
        if (placement === undefined) {
          expect(all).toEqual([]);
          return;
        }
        const cached = all[placement.id] ?? [];
        expect(placement.kept).toBeLessThan(prompt.length);
        expect(cached.slice(0, placement.kept)).toEqual(prompt.slice(0, placement.kept));
      }),
    );
  });
});

test("commonPrefix counts up to the first difference", () => {
  expect(commonPrefix([1, 2, 3], Int32Array.of(1, 2, 4))).toBe(2);
  expect(commonPrefix([], [1])).toBe(0);
  expect(commonPrefix([1, 2], [1, 2, 3])).toBe(2);
});

/** Runs of neighbouring busy ids: what a batch of all of them falls into. */
function countRuns(sequences: readonly CachedSequence[]): number {
  return sequences.filter(({ id, busy }) => busy && sequences[id - 1]?.busy !== true).length;
}

describe("seatBeside", () => {
  const row = (busy: readonly boolean[]) =>
    busy.map((isBusy, id) => sequence(id, range(id * 100, 20), { busy: isBusy }));

  test("a gap between two at work is filled before an end is made longer", () => {
    const held = row([false, true, true, false, true, false, false]);
    expect(seatBeside(6, held)).toBe(3);
  });

  test("of two equally good seats an empty one is taken, as nothing need move", () => {
    const held = row([false, true, false, false]);
    expect(seatBeside(3, [sequence(0, range(0, 9)), ...held.slice(1)])).toBe(0);
    const empty = held.map((one) => (one.id === 2 ? sequence(2, []) : one));
    expect(seatBeside(3, empty)).toBe(2);
  });

  test("with nobody at work, or next to someone already, the given place is kept", () => {
    expect(seatBeside(2, row([false, false, false]))).toBe(2);
    expect(seatBeside(1, row([true, false, false]))).toBe(1);
  });

  test("whoever comes and goes, places beside those at work never make more runs than the given ones", () => {
    const visit = fc.record({ leaves: fc.nat(15), comes: fc.boolean() });
    fc.assert(
      fc.property(fc.array(visit, { maxLength: 60 }), fc.nat(15), (visits, start) => {
        const busy = Array.from({ length: 16 }, (_, id) => id < start);
        for (const { leaves, comes } of visits) {
          busy[leaves] = false;
          const held = row(busy);
          const given = placePrompt(range(9_000, 40), 0, held);
          if (!comes || given === undefined) continue;
          const seat = seatBeside(given.id, held);
          expect(busy[seat]).toBe(false);
          const runs = (id: number) => countRuns(row(busy.map((one, at) => one || at === id)));
          expect(runs(seat)).toBeLessThanOrEqual(runs(given.id));
          expect(runs(seat)).toBeLessThanOrEqual(Math.max(1, countRuns(held)));
          busy[seat] = true;
        }
      }),
    );
  });
});
