/** One training step of a planned shape as a process of its own, whose peak memory `memory-plan.test.ts` reads. */
import { readFileSync } from "node:fs";
import { GgufFile } from "#engine/native/gguf.ts";
import { planMemory } from "#trainer/model/memory-plan.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import { readLlamaShape } from "#trainer/model/read-shape.ts";
import type { Sequence, TrainableOptions } from "#trainer/model/trainable.ts";
import { cpuLibraries } from "../../model/libraries.ts";

const [ggufPath = "", settings = "{}"] = process.argv.slice(2);
const { maxTokens, ...chosen } = JSON.parse(settings);
const libraries = cpuLibraries();
const options: TrainableOptions = { ggufPath, threads: 1, libraries, ...chosen };

const planned = plan();
using trainable = openTrainable(options);
const count = Math.floor(options.maxTokensPerBatch / maxTokens);
const batch = Array.from(
  { length: count },
  (_, index): Sequence => ({
    tokens: Int32Array.from(
      { length: maxTokens },
      (_, i) => (7 * index + i) % trainable.shape.nVocab,
    ),
    scored: Uint8Array.from({ length: maxTokens }, (_, i) => (i > 0 ? 1 : 0)),
  }),
);
await trainable.logps(batch, { reference: true });
await trainable.forwardBackward(batch, (logps) => logps.map((list) => list.map(() => -0.01)));
trainable.step({
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  gradientScale: 1,
});
const status = readFileSync("/proc/self/status", "utf8");
const peak = 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]);
process.stdout.write(JSON.stringify({ planned, peak }));

function plan() {
  using source = GgufFile.open(ggufPath, libraries);
  return planMemory({ ...options, source, shape: readLlamaShape(source), maxTokens });
}
