/** The graph that a GPU is given, laid out where there is none: which operators, on which types. */

import { describe, expect, it, vi } from "vitest";
import { LORA_TARGETS } from "#engine/base/config.ts";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { describeNode } from "#engine/native/ggml-node.ts";
import { Device } from "#trainer/ggml/device.ts";
import { Graph } from "#trainer/ggml/graph.ts";
import { loadWeights } from "#trainer/model/load-weights.ts";
import { sizesOf } from "#trainer/model/memory-plan.ts";
import { buildFittingGraph } from "#trainer/model/model-graph.ts";
import { AdamW } from "#trainer/optimizer/adamw.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { cudaSupports } from "./cuda-operators.ts";
import { vulkanSupports } from "./vulkan-operators.ts";

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
  nTokens: 256,
  nColumns: 384,
  nShared: 128,
  nPrefix: 128,
  nScored: 256,
};
const LORA = {
  rank: 16,
  alpha: 16,
  targets: LORA_TARGETS,
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
      exactTails: true,
    },
    recomputes ? 0 : Number.POSITIVE_INFINITY,
  );
  const nodes = graph.describeNodes().map(({ operator, node }) => ({
    operator,
    isCuda: cudaSupports(operator, node),
    isVulkan: vulkanSupports(operator, node),
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
    "holds only what CUDA and Vulkan compute (%s, transposes kept %s, computed twice %s)",
    (type, keeps, recomputes) => {
      const nodes = nodesOf(GGML_TYPE[type], keeps, recomputes);
      expect(nodes.length).toBeGreaterThan(300);
      expect(nodes.filter(({ isCuda }) => !isCuda)).toEqual([]);
      expect(nodes.filter(({ isVulkan }) => !isVulkan)).toEqual([]);
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

describe("the optimiser's graph for a GPU", () => {
  it.each([LORA, null])("holds only what CUDA and Vulkan compute (lora %j)", (lora) => {
    const libraries = cpuLibraries();
    using device = Device.open({ libraries, threads: 1, dry: "gpu" });
    const source = sizesOf(SHAPE, libraries, () => GGML_TYPE.bf16);
    const workType = GGML_TYPE.bf16;
    const options = { device, source, shape: SHAPE, lora, workType, keepsTransposes: true };
    const { parameters, storages } = loadWeights(options);
    const placed = vi.spyOn(Graph.prototype, "place");
    using _ = new AdamW(device, parameters);
    const nodes = placed.mock.contexts.flatMap((graph) =>
      graph instanceof Graph ? graph.describeNodes() : [],
    );
    placed.mockRestore();
    expect(nodes.length).toBeGreaterThan(6 * parameters.length);
    for (const supports of [cudaSupports, vulkanSupports]) {
      expect(nodes.filter(({ operator, node }) => !supports(operator, node))).toEqual([]);
    }
    for (const storage of Object.values(storages)) storage[Symbol.dispose]();
  });
});

describe("the stand-ins for CUDA's and Vulkan's own answers", () => {
  it("find in the CPU's graph what a GPU would not compute, or not rightly", () => {
    using device = Device.open({ libraries: cpuLibraries(), threads: 1, dry: "itself" });
    const source = sizesOf(SHAPE, cpuLibraries(), () => GGML_TYPE.q4_K);
    const workType = GGML_TYPE.bf16;
    const options = { device, source, shape: SHAPE, lora: LORA, workType, keepsTransposes: true };
    const { weights, storages } = loadWeights(options);
    const kind = { workType, reference: false, backward: true, dropout: false, exactTails: true };
    const { graph } = buildFittingGraph({ device, weights, batch: BATCH, ...kind }, 1e12);
    const refusedBy = (supports: typeof cudaSupports) =>
      new Set(
        graph
          .describeNodes()
          .filter(({ operator, node }) => !supports(operator, node))
          .map(({ operator }) => operator),
      );
    expect(refusedBy(cudaSupports)).toEqual(new Set(["OUT_PROD"]));
    // The CPU's attention takes slices of keys, and moves heads by writing them.
    expect(refusedBy(vulkanSupports)).toEqual(new Set(["OUT_PROD", "MUL_MAT", "SET"]));
    graph[Symbol.dispose]();
    for (const storage of Object.values(storages)) storage[Symbol.dispose]();
  });
});
