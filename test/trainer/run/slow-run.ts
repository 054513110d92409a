/**
 * A training run whose passes take long, as a process of its own for `interrupted.test.ts` to end. It prints a line
 * as each pass begins, and how it ended.
 *
 *   node test/trainer/run/slow-run.ts <folder of the run> [sequences in a pass]
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { SeededRandom } from "#trainer/data/random.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import { TRAIN_DEFAULTS } from "#trainer/run/run.ts";
import { trainLanguageModel } from "#trainer/run/sft.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { randomSequences } from "../model/sequences.ts";

const TOKENS = 256;
const [runDir = "", sequences = "3"] = process.argv.slice(2);
const count = Number(sequences);
const libraries = cpuLibraries();
const ggufPath = join(runDir, "model.gguf");
const size = { nLayer: 6, nEmbd: 256, nHead: 4, nHeadKv: 2, headDim: 64, nFf: 1024 };
const { shape } = writeRandomModel(ggufPath, { libraries, shape: size });
using model = openTrainable({
  ggufPath,
  lora: { rank: 4, alpha: 4, targets: ["q", "v", "down"], seed: 1 },
  precision: "f32",
  threads: 1,
  maxTokensPerBatch: TOKENS * count,
  // Blocks are computed twice: longer passes in less memory.
  activationBytes: 0,
  libraries,
});
const forwardBackward = model.forwardBackward.bind(model);
let passes = 0;
model.forwardBackward = (...given) => {
  passes += 1;
  process.stdout.write(`pass ${passes}\n`);
  return forwardBackward(...given);
};
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
const lengths = Array<number>(count).fill(TOKENS);
const outcome = await trainLanguageModel({
  model,
  examples: randomSequences(lengths, shape.nVocab, SeededRandom.from(5)).map((sequence, i) => {
    return { id: `${i}`, sequences: [sequence], weight: 1 };
  }),
  runDir,
  signal: stop.signal,
  options: {
    ...TRAIN_DEFAULTS,
    learningRate: 0.01,
    batchSize: count,
    epochs: 2,
    maxTokensPerBatch: TOKENS * count,
  },
});
const hash = createHash("sha256");
for (const { name } of model.parameters()) hash.update(model.readParameter(name));
for (const { m, v } of model.readOptimizer().moments.values()) hash.update(m).update(v);
process.stdout.write(`${JSON.stringify({ ...outcome, state: hash.digest("hex") })}\n`);
