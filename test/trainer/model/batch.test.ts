import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packBatch, packScored, paddedTokens, unpackScored } from "#trainer/model/batch.ts";
import type { Sequence } from "#trainer/model/trainable.ts";

const VOCABULARY = 50;

const sequence: fc.Arbitrary<Sequence> = fc
  .array(fc.tuple(fc.nat(VOCABULARY - 1), fc.boolean()), { minLength: 1, maxLength: 90 })
  .map((cells) => ({
    tokens: Int32Array.from(cells, ([token]) => token),
    scored: Uint8Array.from(cells, ([, isScored], i) => (i > 0 && isScored ? 1 : 0)),
  }));

/** Sequences of which some begin as the one before. */
const batches: fc.Arbitrary<Sequence[]> = fc
  .array(fc.tuple(sequence, fc.nat(60)), { minLength: 1, maxLength: 5 })
  .map((drawn) => {
    const batch: Sequence[] = [];
    for (const [{ tokens, scored }, common] of drawn) {
      const before = batch.at(-1)?.tokens.subarray(0, common) ?? new Int32Array();
      const joined = tokens.slice();
      joined.set(before.subarray(0, joined.length));
      batch.push({ tokens: joined, scored });
    }
    return batch;
  });

describe("a packed batch", () => {
  it("shows in each sequence's block its tokens at their positions, padded at the end", () => {
    fc.assert(
      fc.property(batches, (batch) => {
        const packed = packBatch(batch, VOCABULARY);
        const { nTokens, nSequences } = packed.shape;
        expect(nTokens * nSequences).toBe(paddedTokens(batch.map((each) => each.tokens.length)));
        for (const [index, { tokens }] of batch.entries()) {
          const columns = packed.cellColumns.subarray(
            index * nTokens,
            index * nTokens + tokens.length,
          );
          expect(Array.from(columns, (column) => packed.tokens[column])).toEqual([...tokens]);
          expect(Array.from(columns, (column) => packed.positions[column])).toEqual([
            ...tokens.keys(),
          ]);
        }
      }),
    );
  });

  it("holds what a pair shares once, so that columns and their own cells name each other", () => {
    fc.assert(
      fc.property(batches, (batch) => {
        const { shape, realColumns, columnCells, cellColumns, ownColumns, sharedCells } = packBatch(
          batch,
          VOCABULARY,
        );
        expect(new Set(columnCells.subarray(0, realColumns)).size).toBe(realColumns);
        const total = batch.reduce((sum, { tokens }) => sum + tokens.length, 0);
        const still = (batch[0]?.tokens.length ?? 0) - 1;
        const others = [...sharedCells].filter((cell) => cell !== still);
        expect(realColumns + others.length).toBe(total);
        for (let column = 0; column < realColumns; column++) {
          expect(ownColumns[columnCells[column] ?? -1]).toBe(column);
        }
        for (const [column, cell] of sharedCells.entries()) {
          if (cell === still) continue;
          expect(cellColumns[cell]).toBe(column);
          expect(ownColumns[cell]).toBe(cellColumns[still]);
        }
        expect(shape.nColumns).toBeGreaterThanOrEqual(realColumns);
      }),
    );
  });

  it("shares a whole prompt of a pair, and never a sequence's last token", () => {
    const of = (...tokens: number[]): Sequence => ({
      tokens: Int32Array.from(tokens),
      scored: Uint8Array.from(tokens, (_, i) => (i > 1 ? 1 : 0)),
    });
    const pair = packBatch([of(1, 2, 3, 4), of(1, 2, 5), of(1, 2, 5)], VOCABULARY);
    expect(pair.realColumns).toBe(4 + 1 + 3);
    const same = packBatch([of(1, 2, 3), of(1, 2, 3)], VOCABULARY);
    expect(same.realColumns).toBe(4);
  });
});

describe("what every second sequence takes over from the one before", () => {
  const tokens = (length: number, from: number) =>
    Int32Array.from({ length }, (_, i) => (from + i) % VOCABULARY);
  const pairs = fc.array(
    fc.record({
      common: fc.integer({ min: 40, max: 300 }),
      rests: fc.tuple(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 1, max: 90 })),
    }),
    { minLength: 1, maxLength: 3 },
  );

  it("is never read there, so that its queries need not be computed", () => {
    fc.assert(
      fc.property(pairs, (drawn) => {
        const batch = drawn.flatMap(({ common, rests }) =>
          rests.map((rest, i): Sequence => {
            const all = Int32Array.from([...tokens(common, 0), ...tokens(rest, 7 + i)]);
            return { tokens: all, scored: Uint8Array.from(all, (_, at) => (at > 0 ? 1 : 0)) };
          }),
        );
        const { shape, columnCells, scoredCells, realColumns } = packBatch(batch, VOCABULARY);
        const least = Math.min(...drawn.map(({ common }) => common));
        expect(shape.nPrefix).toBeLessThanOrEqual(least);
        expect(shape.nPrefix).toBeGreaterThan(least - Math.max(64, shape.nTokens / 8 + 64));
        const isLeftOut = (cell: number) =>
          Math.floor(cell / shape.nTokens) % 2 === 1 && cell % shape.nTokens < shape.nPrefix;
        const read = [...columnCells.subarray(0, realColumns), ...scoredCells];
        expect(read.filter(isLeftOut)).toEqual([]);
      }),
    );
  });

  it("is nothing where a pair shares nothing, or one sequence is without another", () => {
    const one = (from: number): Sequence => ({
      tokens: tokens(200, from),
      scored: new Uint8Array(200),
    });
    expect(packBatch([one(0), one(0)], VOCABULARY).shape.nPrefix).toBeGreaterThan(100);
    expect(packBatch([one(0), one(0), one(0)], VOCABULARY).shape.nPrefix).toBe(0);
    expect(packBatch([one(0), one(0), one(0), one(9)], VOCABULARY).shape.nPrefix).toBe(0);
  });
});

describe("a packed batch's scored tokens and padding", () => {
  it("reads each scored token's label, and the column before it with that column's own cell", () => {
    fc.assert(
      fc.property(batches, (batch) => {
        const packed = packBatch(batch, VOCABULARY);
        const cells = batch.flatMap((each, index) =>
          [...each.tokens.keys()]
            .filter((i) => each.scored[i] === 1)
            .map((i) => ({ cell: index * packed.shape.nTokens + i - 1, label: each.tokens[i] })),
        );
        const count = cells.length;
        expect(packed.shape.nScored).toBeGreaterThanOrEqual(count);
        expect([...packed.scoredCells.subarray(0, count)]).toEqual(
          cells.map(({ cell }) => packed.columnCells[packed.cellColumns[cell] ?? -1]),
        );
        expect([...packed.scoredColumns.subarray(0, count)]).toEqual(
          cells.map(({ cell }) => packed.cellColumns[cell]),
        );
        expect([...packed.labels.subarray(0, count)]).toEqual(cells.map(({ label }) => label));
      }),
    );
  });

  it("of long sequences pads the columns by less than a tenth", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 200, max: 1024 }), { minLength: 2, maxLength: 6 }),
        (lengths) => {
          const batch = lengths.map((length, i) => ({
            tokens: new Int32Array(length).fill(i),
            scored: new Uint8Array(length),
          }));
          const { shape, realColumns } = packBatch(batch, VOCABULARY);
          expect(1 - realColumns / shape.nColumns).toBeLessThan(0.1);
        },
      ),
    );
  });

  it("gives values back where they were scored, and 0 elsewhere", () => {
    fc.assert(
      fc.property(fc.array(sequence, { minLength: 1, maxLength: 5 }), (batch) => {
        const { shape } = packBatch(batch, VOCABULARY);
        const lists = batch.map(({ tokens }, index) =>
          Float32Array.from(tokens, (_, i) => 1 + index + i / 128),
        );
        const back = unpackScored(batch, packScored(batch, lists, shape.nScored));
        for (const [index, { scored }] of batch.entries()) {
          const expected = lists[index]?.map((value, i) => (scored[i] === 1 ? value : 0));
          expect(back[index]).toEqual(expected);
        }
      }),
    );
  });

  it("pads weights with zeros, so that padding moves nothing", () => {
    const batch = [{ tokens: Int32Array.of(1, 2), scored: Uint8Array.of(0, 1) }];
    expect([...packScored(batch, [Float32Array.of(9, 3)], 4)]).toEqual([3, 0, 0, 0]);
  });
});

describe("a malformed sequence is refused", () => {
  const one = (tokens: number[], scored: number[]) => [
    { tokens: Int32Array.from(tokens), scored: Uint8Array.from(scored) },
  ];
  it.each([
    ["without tokens", one([], []), "at least one token"],
    ["with flags of another length", one([1, 2], [0]), "2 flags"],
    ["with its first token scored", one([1, 2], [1, 1]), "nothing precedes it"],
    ["with a token outside the vocabulary", one([1, VOCABULARY], [0, 1]), "not in 0..49"],
    ["with a negative token", one([1, -1], [0, 1]), "not in 0..49"],
  ])("%s", (_, batch, message) => {
    expect(() => packBatch(batch, VOCABULARY)).toThrow(message);
  });

  it("with weights of another length", () => {
    const batch = one([1, 2], [0, 1]);
    expect(() => packScored(batch, [Float32Array.of(1)], 4)).toThrow("expected 2 weights");
  });
});
