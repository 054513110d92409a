/** A training run as a process of its own, for `killed.test.ts` to kill. Prints a line for every step. */
import { scoredRange } from "#trainer/data/sequence.ts";
import { TRAIN_DEFAULTS } from "#trainer/run/run.ts";
import { trainLanguageModel } from "#trainer/run/sft.ts";
import { Bigram } from "./bigram.ts";

const [runDir = ""] = process.argv.slice(2);
const SIZE = 60;
const examples = Array.from({ length: 40 }, (_, i) => {
  const tokens = Int32Array.from({ length: 8 + (i % 5) }, (_, at) => (i * 7 + at) % SIZE);
  return { id: `${i}`, sequences: [scoredRange(tokens, 1, tokens.length)], weight: 1 };
});
const model = new Bigram(SIZE);
const outcome = await trainLanguageModel({
  model,
  examples,
  runDir,
  options: {
    ...TRAIN_DEFAULTS,
    learningRate: 0.05,
    batchSize: 4,
    epochs: 6,
    maxTokensPerBatch: 128,
    checkpointEverySteps: 1,
  },
  onStep: ({ step }) => {
    process.stdout.write(`step ${step}\n`);
  },
});
const parameters = Buffer.from(model.readParameter().buffer).toString("base64");
process.stdout.write(`${JSON.stringify({ ...outcome, parameters })}\n`);
