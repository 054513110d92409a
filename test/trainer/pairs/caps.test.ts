import fc from "fast-check";
import { expect, test } from "vitest";
import { capRaters } from "#trainer/pairs/caps.ts";
import { evidencedPair } from "./evidenced-pair.ts";

const pairs = fc
  .array(
    fc.tuple(
      fc.integer({ min: 0, max: 30 }),
      fc.uniqueArray(fc.constantFrom("r", "s", "t", "u"), { minLength: 1, maxLength: 3 }),
    ),
    { minLength: 1, maxLength: 80 },
  )
  .map((list) =>
    list.map(([prompt, raters], index) => evidencedPair(index, `prompt ${prompt}`, raters)),
  );

test("nobody decides more pairs than the cap, and every pair is kept or dropped once", () => {
  fc.assert(
    fc.property(pairs, (given) => {
      const cap = { share: 0.2, atLeast: 3 };
      const { pairs: kept, drops } = capRaters(given, cap);
      const limit = Math.max(cap.atLeast, Math.floor(given.length * cap.share));
      for (const rater of ["r", "s", "t", "u"]) {
        const decided = kept
          .filter(({ evidence }) => evidence.raterKeys.includes(rater))
          .reduce((sum, { evidence }) => sum + 1 / evidence.raterKeys.length, 0);
        expect(decided).toBeLessThanOrEqual(limit + 1e-6);
      }
      const ids = [
        ...kept.flatMap((one) => one.evidence.candidateIds),
        ...drops.flatMap((d) => d.candidateIds),
      ];
      expect(ids.sort()).toEqual(given.flatMap((one) => one.evidence.candidateIds).sort());
    }),
  );
});

test("a community of one may decide as many pairs as the floor allows, the newest", () => {
  const given = Array.from({ length: 30 }, (_, index) =>
    evidencedPair(index, `prompt ${index}`, ["r"]),
  );
  const { pairs: kept, drops } = capRaters(given, { share: 0.1, atLeast: 24 });
  expect(kept).toHaveLength(24);
  expect(Math.min(...kept.map(({ atMs }) => atMs))).toBe(6);
  expect(drops.every(({ reason }) => reason === "rater_cap")).toBe(true);
});
