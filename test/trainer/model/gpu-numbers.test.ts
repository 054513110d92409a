/**
 * The graph that a GPU is given, computed on the CPU, where it has other layouts and operators than the CPU's own:
 * the same log-probabilities and gradients must come out. What a GPU makes of it is not tested here.
 */

import { expect, it } from "vitest";
import { LORA_TARGETS } from "#engine/base/config.ts";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { Device } from "#trainer/ggml/device.ts";
import { WorkSpace } from "#trainer/ggml/graph.ts";
import { readFloats, writeTensor } from "#trainer/ggml/storage.ts";
import { packBatch } from "#trainer/model/batch.ts";
import { loadWeights } from "#trainer/model/load-weights.ts";
import { buildFittingGraph, fillBatch } from "#trainer/model/model-graph.ts";
import { AdamW } from "#trainer/optimizer/adamw.ts";
import { randomWeights } from "../../bench/trainer/random-weights.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { TINY_SHAPE } from "../../model/random-model.ts";
import { distance, randomSequences, sharePrompts } from "./sequences.ts";

const libraries = cpuLibraries();
const SHAPE = { ...TINY_SHAPE, nVocab: 128, tied: false };
const LORA = {
  rank: 4,
  alpha: 8,
  targets: LORA_TARGETS,
  seed: 1,
} as const;
const BATCH = sharePrompts(
  randomSequences([150, 129, 170, 190], SHAPE.nVocab, SeededRandom.from(4)),
  128,
);

/** A pass over the batch, as for the CPU or as for a GPU. */
function pass(isCpu: boolean, keepsTransposes: boolean) {
  using device = Device.open({ libraries, threads: 1 });
  Object.defineProperty(device, "isCpu", { value: isCpu });
  const workType = GGML_TYPE.f32;
  const { weights, parameters, storages } = loadWeights({
    device,
    source: randomWeights(SHAPE, "f32", libraries),
    shape: SHAPE,
    lora: LORA,
    workType,
    keepsTransposes,
  });
  const random = SeededRandom.from(6);
  for (const { name, value } of parameters) {
    if (!name.endsWith("lora_b")) continue;
    const drawn = Float32Array.from({ length: value.ne[0] * value.ne[1] }, () => random.gaussian());
    writeTensor(device, value, drawn);
  }
  using optimizer = new AdamW(device, parameters);
  optimizer.refresh();
  const packed = packBatch(BATCH, SHAPE.nVocab);
  const kind = { workType, reference: false, backward: true, dropout: false, exactTails: false };
  using space = new WorkSpace(device);
  const model = buildFittingGraph({ device, weights, batch: packed.shape, ...kind }, 1e12);
  using graph = model.graph;
  graph.place(space);
  fillBatch(device, model.inputs, packed);
  graph.run(0);
  const logps = readFloats(device, model.inputs.logps);
  writeTensor(
    device,
    model.inputs.weights,
    logps.map((_, i) => Math.sin(i)),
  );
  graph.run(1);
  const gradients = parameters.map(({ gradient }) => readFloats(device, gradient));
  for (const storage of Object.values(storages)) storage[Symbol.dispose]();
  return { logps, gradients, operators: graph.describeNodes().map(({ operator }) => operator) };
}

it.each([true, false])(
  "a GPU's graph means the same as the CPU's (transposes kept: %s)",
  (keeps) => {
    const [cpu, gpu] = [pass(true, true), pass(false, keeps)];
    expect(cpu.operators).toContain("OUT_PROD");
    expect(gpu.operators).not.toContain("OUT_PROD");
    expect(distance(gpu.logps, cpu.logps)).toBeLessThan(1e-5);
    const distances = gpu.gradients.map((each, i) => distance(each, cpu.gradients[i] ?? each));
    expect(distances.length).toBe(2 * 7 * SHAPE.nLayer);
    expect(Math.max(...distances)).toBeLessThan(1e-4);
  },
);
