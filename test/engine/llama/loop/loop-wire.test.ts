import { describe, expect, test } from "vitest";
import { CodedError } from "#engine/base/errors.ts";
import { fromWire, NO_FIGURES, sameFigures, toWire } from "#engine/llama/loop/loop-wire.ts";

describe("an error on its way to another thread", () => {
  test("keeps its message and its code", () => {
    const error = new CodedError("no room", { code: "out_of_memory" });
    expect(fromWire(structuredClone(toWire(error)))).toEqual(error);
  });

  test("without a code stays one without", () => {
    const arrived = fromWire(structuredClone(toWire(new TypeError("odd"))));
    expect(arrived).not.toBeInstanceOf(CodedError);
    expect(arrived.message).toBe("odd");
    expect(fromWire(toWire("just text")).message).toBe("just text");
  });
});

test("figures differ as soon as a decode, a cell or a parked conversation more is counted", () => {
  const { lanes, cells, parked } = NO_FIGURES;
  expect(sameFigures(NO_FIGURES, structuredClone(NO_FIGURES))).toBe(true);
  for (const changed of [
    { lanes: { ...lanes, decodes: 1 }, cells, parked },
    { lanes: { ...lanes, reusedTokens: -1 }, cells, parked },
    { lanes, cells: { ...cells, total: 1 }, parked },
    { lanes, cells: { ...cells, used: 1 }, parked },
    { lanes, cells, parked: { ...parked, bytes: 1 } },
    { lanes, cells, parked: { ...parked, returned: 1 } },
  ]) {
    expect(sameFigures(NO_FIGURES, changed)).toBe(false);
  }
});
