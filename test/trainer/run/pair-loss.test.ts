import fc from "fast-check";
import { expect, test } from "vitest";
import type { Example } from "#trainer/data/sequence.ts";
import { DPO_DEFAULTS } from "#trainer/run/dpo.ts";
import { type PairReference, preferenceLoss } from "#trainer/run/pair-loss.ts";

/** Two prompt tokens, then the completion. */
function sequenceOf(tokens: number) {
  const scored = new Uint8Array(tokens + 2).fill(1, 2);
  return { tokens: new Int32Array(tokens + 2), scored };
}

function pairExample(id: string, chosen: number, rejected: number, weight = 1): Example {
  return { id, weight, sequences: [sequenceOf(chosen), sequenceOf(rejected)] };
}

const step = [pairExample("a", 5, 2), pairExample("b", 3, 6, 0.5)];
const reference = new Map<Example, PairReference>(
  step.map((example, i) => [
    example,
    [
      { shared: -2 - i, tail: i === 0 ? -3 : 0 },
      { shared: -4, tail: i === 0 ? 0 : -2 },
    ],
  ]),
);

function drawn(values: readonly number[]): Float32Array[] {
  let next = 0;
  return step.flatMap(({ sequences }) =>
    sequences.map(({ scored }) =>
      Float32Array.from(scored, (bit) => (bit === 1 ? (values[next++ % values.length] ?? 0) : 0)),
    ),
  );
}

test("every token's weight is the derivative of the step's loss, LD-DPO's tails included", () => {
  const logp = fc.integer({ min: -24, max: -1 }).map((eighths) => eighths / 8);
  const settings = fc.record({
    loss: fc.constantFrom("sigmoid" as const, "robust" as const),
    beta: fc.double({ min: 0.1, max: 1, noNaN: true }),
    ldAlpha: fc.double({ min: 0, max: 1, noNaN: true }),
    labelSmoothing: fc.double({ min: 0, max: 0.4, noNaN: true }),
    rpoAlpha: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(logp, { minLength: 16, maxLength: 16 }), settings, (values, given) => {
      const weigh = preferenceLoss(reference, { ...DPO_DEFAULTS, ...given })(step);
      const logps = drawn(values);
      const { gradients } = weigh(step, logps);
      for (const [row, list] of logps.entries()) {
        const last = list.length - 1;
        const moved = (by: number) =>
          logps.map((each, i) => (i === row ? each.with(last, (each[last] ?? 0) + by) : each));
        const h = 1 / 1024;
        const difference =
          (weigh(step, moved(h)).metrics.loss - weigh(step, moved(-h)).metrics.loss) / (2 * h);
        expect(gradients[row]?.[last]).toBeCloseTo(difference, 5);
      }
    }),
    { numRuns: 50 },
  );
});

test("at α 0 tokens beyond the other completion's length get no weight, at α 1 all get the same", () => {
  const weightsAt = (ldAlpha: number) =>
    preferenceLoss(reference, { ...DPO_DEFAULTS, ldAlpha })(step)(step, drawn([-1])).gradients;
  const [longChosen, shortRejected] = weightsAt(0);
  expect(longChosen?.subarray(2, 4).every((weight) => weight < 0)).toBe(true);
  expect([...(longChosen?.subarray(4) ?? [1])]).toEqual([-0, -0, -0]);
  expect(shortRejected?.subarray(2).every((weight) => weight > 0)).toBe(true);
  expect(new Set(weightsAt(1)[0]?.subarray(2)).size).toBe(1);
});

test("a step in parts gives the weights and figures of the whole", () => {
  const logps = drawn([-0.5, -1, -2, -0.25]);
  const weigh = preferenceLoss(reference, { ...DPO_DEFAULTS, ldAlpha: 0.5 })(step);
  const whole = weigh(step, logps);
  const first = weigh(step.slice(0, 1), logps.slice(0, 2));
  const second = weigh(step.slice(1), logps.slice(2));
  expect([...first.gradients, ...second.gradients]).toEqual(whole.gradients);
  for (const [name, value] of Object.entries(whole.metrics)) {
    expect((first.metrics[name] ?? 0) + (second.metrics[name] ?? 0)).toBeCloseTo(value, 10);
  }
});

test("log-probabilities are logged as whole sums, not as LD-DPO weighs them", () => {
  const { metrics } = preferenceLoss(reference, { ...DPO_DEFAULTS, ldAlpha: 0 })(step)(
    step,
    drawn([-1]),
  );
  expect(metrics["logps/chosen"]).toBe(-4);
  expect(metrics["logps/rejected"]).toBe(-4);
});

test("a loss that needs a reference is refused without one; orpo and simpo need none", () => {
  expect(() => preferenceLoss(undefined, DPO_DEFAULTS)).toThrow(/reference/);
  for (const loss of ["orpo", "simpo"] as const) {
    const weigh = preferenceLoss(undefined, { ...DPO_DEFAULTS, loss })(step);
    expect(weigh(step, drawn([-1])).metrics.loss).toBeGreaterThan(0);
  }
});
