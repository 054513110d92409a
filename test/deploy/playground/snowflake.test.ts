import fc from "fast-check";
import { expect, test } from "vitest";
import { Snowflakes } from "#deploy/playground/world/snowflake.ts";

test("ids grow strictly, however the clock is set", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 4_102_444_800_000 }), { minLength: 2, maxLength: 50 }),
      (times) => {
        let now = 0;
        const ids = new Snowflakes({ nowMs: () => now, monotonicMs: () => now }, 0n);
        const made = times.map((time) => {
          now = time;
          return BigInt(ids.next());
        });
        for (const [index, id] of made.entries()) {
          if (index > 0) expect(id).toBeGreaterThan(made[index - 1] ?? 0n);
        }
      },
    ),
  );
});

test("an id holds the time that it was made, counted from 2015", () => {
  const at = Date.UTC(2026, 6, 1);
  const id = new Snowflakes({ nowMs: () => at, monotonicMs: () => at }, 0n).next();
  expect(Number((BigInt(id) >> 22n) + 1_420_070_400_000n)).toBe(at);
});

test("a restart goes on after the greatest id", () => {
  const clock = { nowMs: () => 0, monotonicMs: () => 0 };
  expect(new Snowflakes(clock, 900n << 22n).next()).toBe(String((900n << 22n) + 1n));
});
