/** The graph that a GPU is given, laid out where there is none: which operators, on which types. */
import { describe, expect, it } from "vitest";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { describeNode } from "#engine/native/ggml-node.ts";
import { Device } from "#trainer/ggml/device.ts";
import { loadWeights } from "#trainer/model/load-weights.ts";
import { sizesOf } from "#trainer/model/memory-plan.ts";
import { buildFittingGraph } from "#trainer/model/model-graph.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { cudaSupports } from "./cuda-operators.ts";

const SHAPE = {
  nLayer: 2,
  nEmbd: 256,
  nHead: 4,
  nHeadKv: 2,
  headDim: 64,
  nFf: 512,
  nVocab: 512,
  ropeTheta: 10_000,
  rmsEps: 1e-5,
  tied: false,
  contextTokens: 256,
};
const BATCH = {
  nSequences: 2,
  nTokens: 128,
  nColumns: 192,
  nShared: 64,
  nPrefix: 64,
  nScored: 128,
};
const LORA = {
  rank: 16,
  alpha: 16,
  targets: ["q", "k", "v", "o", "gate", "up", "down"],
  seed: 1,
} as const;
const WEIGHTS_A_LAYER = 7;

/** Every node of a step on frozen weights of a type, by operator, with its sources' types. */
function nodesOf(type: number, keepsTransposes: boolean, recomputes: boolean) {
  const libraries = cpuLibraries();
  using device = Device.open({ libraries, threads: 1, dry: "gpu" });
  const source = sizesOf(SHAPE, libraries, () => type);
  const workType = GGML_TYPE.bf16;
  const model = loadWeights({
    device,
    source,
    shape: SHAPE,
    lora: LORA,
    workType,
    keepsTransposes,
  });
  const { graph } = buildFittingGraph(
    {
      device,
      weights: model.weights,
      batch: BATCH,
      workType,
      reference: false,
      backward: true,
      dropout: false,
    },
    recomputes ? 0 : Number.POSITIVE_INFINITY,
  );
  const nodes = graph.describeNodes().map(({ operator, node }) => ({
    operator,
    isSupported: cudaSupports(operator, node),
    sources: describeNode(node).sources.map((each) => describeNode(each).type),
  }));
  graph[Symbol.dispose]();
  for (const storage of Object.values(model.storages)) storage[Symbol.dispose]();
  return nodes;
}

describe("a step's graph for a GPU", () => {
  it.each([
    ["q4_K", false, false],
    ["q4_K", false, true],
    ["q4_K", true, false],
    ["q6_K", false, true],
    ["q8_0", false, false],
    ["q4_0", false, false],
    ["bf16", false, true],
    ["f32", true, false],
  ] as const)(
    "holds only what CUDA computes (%s, transposes kept %s, computed twice %s)",
    (type, keeps, recomputes) => {
      const nodes = nodesOf(GGML_TYPE[type], keeps, recomputes);
      expect(nodes.length).toBeGreaterThan(300);
      expect(nodes.filter(({ isSupported }) => !isSupported)).toEqual([]);
    },
  );

  it("turns each frozen matrix around by GET_ROWS, and multiplies gradients by it in BF16", () => {
    const nodes = nodesOf(GGML_TYPE.q4_K, false, true);
    const fetched = nodes.filter(
      ({ operator, sources }) => operator === "GET_ROWS" && sources[0] === GGML_TYPE.q4_K,
    );
    // All but q, k and v of the lowest block, whose input needs no gradient; and the embedding's lookup.
    expect(fetched).toHaveLength(SHAPE.nLayer * WEIGHTS_A_LAYER - 3 + 1);
    const quantised = nodes.filter(
      ({ operator, sources }) => operator === "MUL_MAT" && sources[0] === GGML_TYPE.q4_K,
    );
    // Forward; then again but for the last matrix of each block, whose result nothing needs; and the head.
    expect(quantised).toHaveLength(SHAPE.nLayer * (2 * WEIGHTS_A_LAYER - 1) + 1);
  });

  it("leaves outer products to the CPU, whose kernel is fast: CUDA takes no quantised ones, Vulkan no turned ones", () => {
    const names = nodesOf(GGML_TYPE.q4_K, false, true).map(({ operator }) => operator);
    expect(names).not.toContain("OUT_PROD");
    expect(names.filter((name) => name === "MUL_MAT").length).toBeGreaterThan(50);
  });
});

describe("the stand-in for CUDA's own answer", () => {
  it("finds what CUDA would leave to the CPU", () => {
    using device = Device.open({ libraries: cpuLibraries(), threads: 1, dry: "itself" });
    const source = sizesOf(SHAPE, cpuLibraries(), () => GGML_TYPE.q4_K);
    const workType = GGML_TYPE.bf16;
    const options = { device, source, shape: SHAPE, lora: LORA, workType, keepsTransposes: true };
    const { weights, storages } = loadWeights(options);
    const kind = { workType, reference: false, backward: true, dropout: false };
    const { graph } = buildFittingGraph({ device, weights, batch: BATCH, ...kind }, 1e12);
    const refused = graph
      .describeNodes()
      .filter(({ operator, node }) => !cudaSupports(operator, node));
    expect(new Set(refused.map(({ operator }) => operator))).toEqual(new Set(["OUT_PROD"]));
    graph[Symbol.dispose]();
    for (const storage of Object.values(storages)) storage[Symbol.dispose]();
  });
});
