import fc from "fast-check";
import { expect, test } from "vitest";
import { packDocuments } from "#trainer/data/packing.ts";

test("packing loses no token but a lone last one, and scores all but each sequence's first", () => {
  const documents = fc.array(fc.array(fc.nat(99), { minLength: 1, maxLength: 30 }), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(documents, fc.integer({ min: 2, max: 17 }), (given, length) => {
      const packed = packDocuments(
        given.map((d) => Int32Array.from(d)),
        length,
      );
      const all = given.flat();
      const kept = all.length % length === 1 ? all.slice(0, -1) : all;
      expect(packed.flatMap(({ sequences }) => [...(sequences[0]?.tokens ?? [])])).toEqual(kept);
      for (const { sequences } of packed) {
        expect([...(sequences[0]?.scored ?? [])].indexOf(1)).toBe(1);
      }
    }),
  );
});
