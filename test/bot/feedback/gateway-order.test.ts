import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GatewayOrder } from "#bot/feedback/gateway-order.ts";

/** Numbers 1 to n, some of them twice, in any order. */
const deliveries = fc
  .integer({ min: 1, max: 40 })
  .chain((count) =>
    fc
      .shuffledSubarray([...Array(count * 2).keys()], { minLength: count * 2 })
      .map((indices) => indices.map((index) => (index % count) + 1)),
  );

describe("the gateway's order", () => {
  test("gives each event one time, and later events later ones, in whatever order they come", () => {
    fc.assert(
      fc.property(deliveries, fc.array(fc.integer({ min: -5, max: 50 })), (numbers, steps) => {
        const order = new GatewayOrder();
        order.begin("s");
        let now = 1_000;
        const times = new Map<number, number>();
        for (const [index, number] of numbers.entries()) {
          now += steps[index % Math.max(1, steps.length)] ?? 0;
          const { id, atMs } = order.stamp(number, now);
          expect(id).toBe(`s.${number}`);
          expect(times.get(number) ?? atMs).toBe(atMs);
          times.set(number, atMs);
        }
        const inOrder = [...times].sort(([a], [b]) => a - b).map(([, atMs]) => atMs);
        expect(inOrder).toEqual([...new Set(inOrder)].sort((a, b) => a - b));
      }),
    );
  });

  test("keeps time across sessions, whose numbers begin anew", () => {
    const order = new GatewayOrder();
    order.begin("a");
    const last = order.stamp(500, 9_000);
    order.begin("b");
    const first = order.stamp(1, 8_000);
    expect(first.atMs).toBeGreaterThan(last.atMs);
    expect(first.id).not.toBe(last.id);
  });
});
