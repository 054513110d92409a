import { describe, expect, it } from "vitest";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { Device } from "#trainer/ggml/device.ts";
import { readFloats, Storage, writeTensor } from "#trainer/ggml/storage.ts";
import type { Parameter } from "#trainer/model/weights.ts";
import { AdamW } from "#trainer/optimizer/adamw.ts";
import { cpuLibraries } from "../../model/libraries.ts";

const { f32, bf16 } = GGML_TYPE;
const STEP = {
  learningRate: 0.1,
  beta1: 0.5,
  beta2: 0.75,
  epsilon: 0,
  weightDecay: 0.5,
  gradientScale: 1,
};

/** A matrix parameter of one row pair and a norm-like one, both of values 1 and gradients as given. */
function twoParameters(device: Device): { storage: Storage; parameters: Parameter[] } {
  const storage = new Storage(device, 16);
  const declare = (name: string, ne: readonly number[]): Parameter => ({
    name,
    value: storage.add(f32, ne),
    gradient: storage.add(f32, ne),
    m: storage.add(f32, ne),
    v: storage.add(f32, ne),
    isMatrix: ne.length > 1,
    copies:
      ne.length > 1
        ? [
            { to: storage.add(bf16, ne), turned: false, from: 0 },
            { to: storage.add(f32, [5, 2]), turned: true, from: 3 },
            { to: storage.add(f32, [2, 3]), turned: false, from: 1 },
          ]
        : [],
  });
  const parameters = [declare("matrix", [2, 2]), declare("norm", [2])];
  storage.allocate();
  return { storage, parameters };
}

describe("AdamW", () => {
  it("moves by the learning rate at first, decays matrices only, and goes on as worked out by hand", () => {
    using device = Device.open({ libraries: cpuLibraries(), threads: 1 });
    const { storage, parameters } = twoParameters(device);
    using _ = storage;
    using optimizer = new AdamW(device, parameters);
    const [matrix, norm] = parameters;
    if (matrix === undefined || norm === undefined) throw new Error("two parameters");
    writeTensor(device, matrix.value, Float32Array.of(1, 1, 1, 1));
    writeTensor(device, norm.value, Float32Array.of(1, 1));
    writeTensor(device, matrix.gradient, Float32Array.of(3, -3, 3, -3));
    writeTensor(device, norm.gradient, Float32Array.of(4, -4));
    expect(optimizer.gradientNorm()).toBeCloseTo(Math.sqrt(4 * 9 + 2 * 16), 5);
    optimizer.step(STEP);
    // m̂ = g, v̂ = g²: w (1 − 0.1·0.5) ∓ 0.1 with decay, w ∓ 0.1 without.
    expectClose(readFloats(device, matrix.value), [0.85, 1.05, 0.85, 1.05]);
    expectClose(readFloats(device, norm.value), [0.9, 1.1]);
    expectClose(readFloats(device, norm.m), [2, -2]);
    expectClose(readFloats(device, norm.v), [4, 4]);
    // Second step, g = 0: m = 1, v = 3, m̂ = 1/(1 − 0.25), v̂ = 3/(1 − 0.5625).
    writeTensor(device, norm.gradient, new Float32Array(2));
    optimizer.step(STEP);
    const moved = (0.1 * (1 / 0.75)) / Math.sqrt(3 / 0.4375);
    expectClose(readFloats(device, norm.value), [0.9 - moved, 1.1 + moved]);
    expect(optimizer.stepCount).toBe(2);
  });

  it("scales gradients before the moments see them", () => {
    using device = Device.open({ libraries: cpuLibraries(), threads: 1 });
    const { storage, parameters } = twoParameters(device);
    using _ = storage;
    using optimizer = new AdamW(device, parameters);
    const [, norm] = parameters;
    if (norm === undefined) throw new Error("two parameters");
    writeTensor(device, norm.gradient, Float32Array.of(8, -8));
    optimizer.step({ ...STEP, gradientScale: 0.5 });
    expectClose(readFloats(device, norm.m), [2, -2]);
    expectClose(readFloats(device, norm.v), [4, 4]);
  });

  it("keeps copies in step with the values, turned around and within larger tensors too", () => {
    using device = Device.open({ libraries: cpuLibraries(), threads: 1 });
    const { storage, parameters } = twoParameters(device);
    using _ = storage;
    using optimizer = new AdamW(device, parameters);
    const [matrix] = parameters;
    const [, turned, among] = matrix?.copies ?? [];
    if (matrix === undefined || turned === undefined || among === undefined) throw new Error("two");
    writeTensor(device, matrix.value, Float32Array.of(1, 2, 3, 4));
    optimizer.refresh();
    expect([...readFloats(device, turned.to)]).toEqual([0, 0, 0, 1, 3, 0, 0, 0, 2, 4]);
    expect([...readFloats(device, among.to)]).toEqual([0, 0, 1, 2, 3, 4]);
  });
});

function expectClose(values: Float32Array, expected: readonly number[]): void {
  expect(values.length).toBe(expected.length);
  for (const [i, value] of values.entries())
    expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 5);
}
