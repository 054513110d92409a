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

describe("a packed batch", () => {
  it("reads each scored token's label from its place, and the column before it", () => {
    fc.assert(
      fc.property(fc.array(sequence, { minLength: 1, maxLength: 5 }), (batch) => {
        const { shape, tokens, rows, labels } = packBatch(batch, VOCABULARY);
        const cells = batch.flatMap((each, index) =>
          [...each.tokens.keys()]
            .filter((i) => each.scored[i] === 1)
            .map((i) => index * shape.nTokens + i),
        );
        expect(shape.nScored).toBeGreaterThanOrEqual(cells.length);
        expect([...rows.subarray(0, cells.length)]).toEqual(cells.map((cell) => cell - 1));
        expect([...labels.subarray(0, cells.length)]).toEqual(cells.map((cell) => tokens[cell]));
        expect(shape.nTokens * shape.nBatch).toBe(
          paddedTokens(batch.map((each) => each.tokens.length)),
        );
      }),
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
