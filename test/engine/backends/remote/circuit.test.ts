import { beforeEach, describe, expect, it } from "vitest";
import { Circuit } from "#engine/backends/remote/circuit.ts";
import { backoffMs } from "#engine/backends/remote/retry.ts";

let nowMs = 0;
const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };

beforeEach(() => {
  nowMs = 1_000;
});

function failed(times: number): Circuit {
  const circuit = new Circuit(clock);
  for (let i = 0; i < times; i++) circuit.fail();
  return circuit;
}

describe("a circuit", () => {
  it("opens after five failures in a row, and not before", () => {
    expect(failed(4).refusal()).toBeUndefined();
    const circuit = failed(5);
    expect(circuit.state).toBe("open");
    expect(circuit.refusal()).toBe(10_000);
  });

  it("forgets failures at a success", () => {
    const circuit = failed(4);
    circuit.succeed();
    circuit.fail();
    expect(circuit.state).toBe("closed");
  });

  it("lets one request try after its time, and the others wait for what comes of it", () => {
    const circuit = failed(5);
    nowMs += 10_000;
    expect(circuit.state).toBe("half-open");
    expect(circuit.refusal()).toBeUndefined();
    expect(circuit.refusal()).toBeGreaterThan(0);
    circuit.succeed();
    expect([circuit.state, circuit.refusal()]).toEqual(["closed", undefined]);
  });

  it("stays open when the trial fails, and lets another try when it was given up", () => {
    const circuit = failed(5);
    nowMs += 10_000;
    circuit.refusal();
    circuit.fail();
    expect(circuit.state).toBe("open");
    nowMs += 10_000;
    circuit.refusal();
    circuit.forget();
    expect(circuit.refusal()).toBeUndefined();
  });
});

describe("the wait before another attempt", () => {
  it("doubles, up to four seconds, and is drawn from nothing to all of it", () => {
    expect([1, 2, 3].map((tried) => backoffMs(tried, 1))).toEqual([250, 500, 1000]);
    expect(backoffMs(20, 1)).toBe(4_000);
    expect(backoffMs(3, 0)).toBe(0);
    expect(backoffMs(3, 0.5)).toBe(500);
  });
});
