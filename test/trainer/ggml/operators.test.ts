/** Every demand that ggml would abort the process for is an error that a caller can catch. */
import { describe, expect, it } from "vitest";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { Device } from "#trainer/ggml/device.ts";
import { Graph, WorkSpace } from "#trainer/ggml/graph.ts";
import type { Operators } from "#trainer/ggml/operators.ts";
import { readFloats, Storage, writeTensor } from "#trainer/ggml/storage.ts";
import type { Tensor } from "#trainer/ggml/tensor.ts";
import { cpuLibraries } from "../../model/libraries.ts";

const { f32, bf16, f16, i32, q8_0 } = GGML_TYPE;

type Make = (type: number, ...ne: number[]) => Tensor;

/** Runs `build` on fresh inputs; nothing is computed. */
function attempt(build: (operators: Operators, make: Make) => unknown): () => void {
  return () => {
    using device = Device.open({ libraries: cpuLibraries(), threads: 1 });
    using graph = new Graph(device, 32);
    build(graph.operators, (type, ...ne) => graph.input(type, ne));
  };
}

describe("shapes and types that ggml would abort on are refused before it sees them", () => {
  it.each<[string, (o: Operators, make: Make) => unknown]>([
    ["mul_mat of unequal rows", (o, t) => o.mulMat(t(f32, 4, 3), t(f32, 5, 2))],
    ["mul_mat that does not repeat", (o, t) => o.mulMat(t(f32, 4, 3, 2), t(f32, 4, 2, 3))],
    ["mul_mat of a transposed first", (o, t) => o.mulMat(o.transpose(t(f32, 3, 4)), t(f32, 4, 2))],
    ["mul_mat of a transposed second", (o, t) => o.mulMat(t(f32, 4, 3), o.transpose(t(f32, 2, 4)))],
    ["mul_mat of F32 by BF16", (o, t) => o.mulMat(t(f32, 4, 3), t(bf16, 4, 2))],
    ["mul_mat of Q8_0 by BF16", (o, t) => o.mulMat(t(q8_0, 32, 3), t(bf16, 32, 2))],
    ["out_prod of BF16", (o, t) => o.outProd(t(bf16, 4, 3), t(f32, 2, 3))],
    ["out_prod of unequal columns", (o, t) => o.outProd(t(f32, 4, 3), t(f32, 4, 2))],
    ["add of F32 and BF16", (o, t) => o.add(t(f32, 4), t(bf16, 4))],
    ["add of unequal sizes", (o, t) => o.add(t(f32, 4, 3), t(f32, 4))],
    ["add in place of unequal sizes", (o, t) => o.addInto(t(f32, 4, 3), t(f32, 4))],
    ["mul that does not repeat", (o, t) => o.mul(t(f32, 4, 3), t(f32, 3))],
    ["rms_norm_back of unequal sizes", (o, t) => o.rmsNormBack(t(f32, 4), t(f32, 5), 1e-5)],
    ["silu_back of unequal sizes", (o, t) => o.siluBack(t(f32, 4), t(f32, 5))],
    ["silu of a slice with gaps", (o, t) => o.silu(o.slice(t(f32, 4, 3), 0, 0, 2))],
    ["soft_max under too small a mask", (o, t) => o.softMax(t(f32, 4, 3), t(f32, 4, 2), 1)],
    [
      "soft_max under a permuted mask",
      (o, t) => o.softMax(t(f32, 4, 3), o.transpose(t(f32, 3, 4)), 1),
    ],
    ["soft_max_back of unequal sizes", (o, t) => o.softMaxBack(t(f32, 4), t(f32, 5), 1)],
    [
      "rope without a position for each token",
      (o, t) =>
        o.rope(t(f32, 4, 2, 3), t(i32, 2), { dimensions: 4, base: 1e4, frequencyFactors: null }),
    ],
    [
      "rope over more dimensions than there are",
      (o, t) =>
        o.rope(t(f32, 4, 2, 3), t(i32, 3), { dimensions: 6, base: 1e4, frequencyFactors: null }),
    ],
    [
      "rope of BF16",
      (o, t) =>
        o.rope(t(bf16, 4, 2, 3), t(i32, 3), { dimensions: 4, base: 1e4, frequencyFactors: null }),
    ],
    ["get_rows by floats", (o, t) => o.getRows(t(f32, 4, 3), t(f32, 2))],
    [
      "get_rows_back by another count",
      (o, t) => o.getRowsBack(t(f32, 4, 3), t(i32, 2), t(f32, 4, 9)),
    ],
    ["set_rows of other rows", (o, t) => o.setRows(t(f32, 4, 3), t(f32, 5, 1), t(i32, 1))],
    ["reshape of a permuted view", (o, t) => o.reshape(o.transpose(t(f32, 4, 3)), 12)],
    ["reshape to another count", (o, t) => o.reshape(t(f32, 4, 3), 13)],
    ["a slice beyond the end", (o, t) => o.slice(t(f32, 4, 3), 1, 2, 2)],
    ["a copy of a quantised type", (o, t) => o.cast(t(q8_0, 32), f16)],
    ["a copy into another count", (o, t) => o.copyInto(t(f32, 4), t(f32, 5))],
    [
      "AdamW with a transposed gradient",
      (o, t) =>
        o.adamwStep(t(f32, 4, 4), o.transpose(t(f32, 4, 4)), t(f32, 4, 4), t(f32, 4, 4), t(f32, 7)),
    ],
    [
      "AdamW with other than 7 figures",
      (o, t) => o.adamwStep(t(f32, 4), t(f32, 4), t(f32, 4), t(f32, 4), t(f32, 6)),
    ],
    ["a tensor of a size below 1", (_, t) => t(f32, 0)],
    ["rows that do not fit a quantised type's blocks", (_, t) => t(q8_0, 33)],
  ])("%s", (_, build) => {
    expect(attempt(build)).toThrow(RangeError);
  });

  it("a message names what was expected and what came", () => {
    expect(attempt((o, t) => o.mulMat(t(f32, 4, 3), t(f32, 5, 2)))).toThrow(
      "mul_mat: equal rows expected, got f32[4, 3, 1, 1] and f32[5, 2, 1, 1]",
    );
  });
});

describe("parts of a whole that do not fit it are refused", () => {
  it.each<[string, (o: Operators, make: Make) => unknown]>([
    [
      "setting a part from another size",
      (o, t) => {
        const whole = t(f32, 4, 3);
        return o.setInto(whole, t(f32, 4, 1), o.slice(whole, 1, 0, 2));
      },
    ],
    [
      "adding to a part of a transposed whole",
      (o, t) => {
        const whole = o.transpose(t(f32, 4, 3));
        return o.addAt(whole, t(f32, 3, 1), o.slice(whole, 1, 0, 1));
      },
    ],
  ])("%s", (_, build) => {
    expect(attempt(build)).toThrow(RangeError);
  });
});

describe("a graph", () => {
  it("runs in slices, so that a value can be read and another written in between", () => {
    using device = Device.open({ libraries: cpuLibraries(), threads: 1 });
    using space = new WorkSpace(device);
    using graph = new Graph(device, 16);
    const x = graph.input(f32, [3]);
    const square = graph.input(f32, [3]);
    const factor = graph.input(f32, [1]);
    const result = graph.input(f32, [3]);
    graph.seal();
    const { operators } = graph;
    graph.expand(operators.copyInto(operators.mul(x, x), square));
    graph.cut();
    graph.expand(operators.copyInto(operators.mul(square, factor), result));
    graph.place(space);
    writeTensor(device, x, Float32Array.of(1, 2, 3));
    graph.run(0);
    expect([...readFloats(device, square)]).toEqual([1, 4, 9]);
    expect([...readFloats(device, result)]).toEqual([0, 0, 0]);
    writeTensor(device, factor, Float32Array.of(10));
    graph.run(1);
    expect([...readFloats(device, result)]).toEqual([10, 40, 90]);
    expect(() => graph.run(2)).toThrow("no slice 2");
  });

  it("knows when a larger one moved the memory that it was placed in", () => {
    using device = Device.open({ libraries: cpuLibraries(), threads: 1 });
    using space = new WorkSpace(device);
    const place = (size: number) => {
      const graph = new Graph(device, 8);
      const x = graph.input(f32, [size]);
      graph.seal();
      graph.expand(graph.operators.mul(x, x));
      graph.place(space);
      return graph;
    };
    using small = place(8);
    expect(small.isPlacedIn(space)).toBe(true);
    using large = place(100_000);
    expect([small.isPlacedIn(space), large.isPlacedIn(space)]).toEqual([false, true]);
    using another = place(9);
    expect([large.isPlacedIn(space), another.isPlacedIn(space)]).toEqual([true, true]);
  });
});

describe("a dry device", () => {
  it("tells the memory that a real one takes, holds none, and computes nothing", () => {
    const measured = (["itself", undefined] as const).map((dry) => {
      using device = Device.open({ libraries: cpuLibraries(), threads: 1, dry });
      using space = new WorkSpace(device);
      using graph = new Graph(device, 16);
      const x = graph.input(f32, [1000, 1000]);
      graph.seal();
      writeTensor(device, x, new Float32Array(1_000_000).fill(1));
      graph.expand(graph.operators.mulMat(graph.operators.mul(x, x), x));
      const nodes = graph.measure();
      graph.place(space);
      if (dry !== undefined) expect(() => graph.run(0)).toThrow("computes nothing");
      return { inputs: graph.inputBytes, nodes, placed: space.bytes };
    });
    expect(measured[0]).toEqual(measured[1]);
    expect(measured[0]?.inputs).toBeGreaterThanOrEqual(4_000_000);
    expect(measured[0]?.nodes).toBe(measured[0]?.placed);
  });
});

describe("parts of a whole", () => {
  it("are set and added to where a view shows them, and the result is the whole", () => {
    using device = Device.open({ libraries: cpuLibraries(), threads: 1 });
    using space = new WorkSpace(device);
    using graph = new Graph(device, 16);
    const [whole, part, result] = [
      graph.input(f32, [2, 3]),
      graph.input(f32, [2, 1]),
      graph.input(f32, [2, 3]),
    ];
    graph.seal();
    const { operators } = graph;
    const set = operators.setInto(whole, part, operators.slice(whole, 1, 1, 1));
    const added = operators.addAt(set, part, operators.slice(whole, 1, 2, 1));
    graph.expand(operators.copyInto(added, result));
    graph.place(space);
    writeTensor(device, whole, Float32Array.of(1, 2, 3, 4, 5, 6));
    writeTensor(device, part, Float32Array.of(10, 20));
    graph.run(0);
    expect([...readFloats(device, result)]).toEqual([1, 2, 10, 20, 15, 26]);
  });
});

describe("a storage", () => {
  it("begins at zero, holds what is written, and refuses what does not fit", () => {
    using device = Device.open({ libraries: cpuLibraries(), threads: 1 });
    using storage = new Storage(device, 1);
    const tensor = storage.add(f32, [2, 2]);
    expect(() => storage.add(f32, [1])).toThrow("more than 1 tensors");
    storage.allocate();
    expect([...readFloats(device, tensor)]).toEqual([0, 0, 0, 0]);
    writeTensor(device, tensor, Float32Array.of(1, 2, 3, 4));
    expect([...readFloats(device, tensor)]).toEqual([1, 2, 3, 4]);
    expect(() => writeTensor(device, tensor, Float32Array.of(1))).toThrow("expected 16 bytes");
    storage.clear();
    expect([...readFloats(device, tensor)]).toEqual([0, 0, 0, 0]);
  });
});
