import fc from "fast-check";
import { expect, test } from "vitest";
import { desensitisedLogp, splitLogp, tailStartOf } from "#trainer/losses/ld-dpo.ts";

const logps = Float32Array.from([0, 0, -1, -2, 0, -4, -8]);
const scored = Uint8Array.from([0, 0, 1, 1, 0, 1, 1]);

test("three shared tokens of four: −1 − 2 − 4 are shared, −8 is the tail", () => {
  expect(splitLogp(logps, scored, 3)).toEqual({ shared: -7, tail: -8 });
  expect(tailStartOf(scored, 3)).toBe(6);
});

test("at α ½ the tail counts half: −7 − 4 = −11", () => {
  expect(desensitisedLogp({ shared: -7, tail: -8 }, 0.5)).toBe(-11);
});

test("without a tail, and at α 1, nothing changes", () => {
  expect(splitLogp(logps, scored, 4)).toEqual({ shared: -15, tail: 0 });
  expect(tailStartOf(scored, 4)).toBe(7);
  expect(desensitisedLogp(splitLogp(logps, scored, 2), 1)).toBe(-15);
});

test("whatever the split, its parts add up to the whole, and the shared part holds that many tokens", () => {
  const bits = fc.array(fc.constantFrom(0, 1), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(bits, fc.nat(30), (flags, wanted) => {
      const mask = Uint8Array.from(flags);
      const total = flags.filter((flag) => flag === 1).length;
      const shared = Math.min(wanted, total);
      const split = splitLogp(Float32Array.from(mask), mask, shared);
      expect(split).toEqual({ shared, tail: total - shared });
    }),
  );
});
