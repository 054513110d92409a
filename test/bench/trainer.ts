/**
 * DPO throughput of the trainer, for a nano and a 60 M shape: tokens a second, and the share of the BF16 mul_mat
 * rate that the same machine reached in the same run.
 *
 *   npm run bench:trainer -- [--threads 2] [--steps 8]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { Device } from "#trainer/ggml/device.ts";
import { Graph, WorkSpace } from "#trainer/ggml/graph.ts";
import type { LlamaShape } from "#trainer/gguf/llama-shape.ts";
import type { TokenTable } from "#trainer/gguf/tokenizer-metadata.ts";
import { sigmoidDpoLoss } from "#trainer/losses/dpo.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import type { LoraOptions, Sequence, Trainable } from "#trainer/model/trainable.ts";
import { cpuLibraries } from "../model/libraries.ts";
import { smallVocabulary, writeRandomModel } from "../model/random-model.ts";

type Subject = {
  readonly name: string;
  readonly shape: Omit<LlamaShape, "nVocab" | "tied">;
  readonly vocabulary: number;
  readonly tied: boolean;
  readonly lora: LoraOptions | null;
  readonly pairs: number;
  /** Tokens of one sequence; the second half is the scored completion. */
  readonly tokens: number;
};

type Measurement = { readonly tokensPerSecond: number; readonly share: number };

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: String(Math.min(2, availableParallelism())) },
    steps: { type: "string", default: "8" },
  },
});
const THREADS = Number(values.threads);
const STEPS = Number(values.steps);
const LORA: LoraOptions = {
  rank: 16,
  alpha: 32,
  targets: ["q", "k", "v", "o", "gate", "up", "down"],
  seed: 1,
};
const COMMON = { ropeTheta: 10_000, rmsEps: 1e-5, contextTokens: 1024 };
const NANO = { ...COMMON, nLayer: 6, nEmbd: 256, nHead: 8, nHeadKv: 4, headDim: 32, nFf: 704 };
const SIXTY = { ...COMMON, nLayer: 8, nEmbd: 512, nHead: 8, nHeadKv: 4, headDim: 64, nFf: 1408 };

const SUBJECTS: readonly Subject[] = [
  {
    name: "nano, all parameters",
    shape: NANO,
    vocabulary: 4096,
    tied: true,
    lora: null,
    pairs: 4,
    tokens: 256,
  },
  {
    name: "nano, LoRA r16",
    shape: NANO,
    vocabulary: 4096,
    tied: true,
    lora: LORA,
    pairs: 4,
    tokens: 256,
  },
  {
    name: "60 M, LoRA r16",
    shape: SIXTY,
    vocabulary: 32_000,
    tied: false,
    lora: LORA,
    pairs: 1,
    tokens: 512,
  },
];

const folder = mkdtempSync(join(tmpdir(), "zephyr-bench-"));
try {
  main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function main(): void {
  const machine = `${cpus()[0]?.model ?? "unknown"}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  print(`machine: ${machine}; ${THREADS} threads; BF16 products`);
  print(`command: npm run bench:trainer -- --threads ${THREADS} --steps ${STEPS}`);
  print("");
  print("| model | batch | DPO tok/s | ms a step | of the BF16 mul_mat rate (GFLOP/s) |");
  print("|---|---|---|---|---|");
  for (const subject of SUBJECTS) print(row(subject));
}

function row(subject: Subject): string {
  const ggufPath = join(folder, "model.gguf");
  const libraries = cpuLibraries();
  writeRandomModel(ggufPath, {
    libraries,
    shape: subject.shape,
    tied: subject.tied,
    type: "bf16",
    vocabulary: fillVocabulary(subject.vocabulary),
  });
  const batchTokens = 2 * subject.pairs * subject.tokens;
  using trainable = openTrainable({
    ggufPath,
    lora: subject.lora,
    precision: "bf16",
    threads: THREADS,
    maxTokensPerBatch: batchTokens,
    libraries,
  });
  const before = calibrate();
  const seconds = stepSeconds(trainable, subject);
  const gflops = Math.max(before, calibrate());
  const { tokensPerSecond, share } = measure(trainable.shape, subject, seconds, gflops);
  const batch = `${subject.pairs} × 2 × ${subject.tokens}`;
  const figures = [Math.round(tokensPerSecond), Math.round(1000 * seconds)];
  return `| ${[subject.name, batch, ...figures, `${Math.round(100 * share)}% (${Math.round(gflops)})`].join(" | ")} |`;
}

function measure(
  shape: LlamaShape,
  subject: Subject,
  seconds: number,
  gflops: number,
): Measurement {
  const batchTokens = 2 * subject.pairs * subject.tokens;
  const share = stepFlops(shape, subject) / seconds / (gflops * 1e9);
  return { tokensPerSecond: batchTokens / seconds, share };
}

/** The median time of a DPO step, after one to warm up. */
function stepSeconds(trainable: Trainable, subject: Subject): number {
  const batch = randomPairs(subject, trainable.shape.nVocab);
  const reference = trainable.logps(batch, { reference: true }).map(total);
  const times: number[] = [];
  for (let step = 0; step <= STEPS; step++) {
    const start = performance.now();
    trainable.forwardBackward(batch, (logps) => weigh(logps, reference));
    trainable.gradientNorm();
    trainable.step({
      learningRate: 1e-5,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0,
      gradientScale: 1,
    });
    if (step > 0) times.push((performance.now() - start) / 1000);
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)] ?? Number.NaN;
}

/** Chosen sequences first, then the rejected ones. */
function weigh(logps: readonly Float32Array[], reference: readonly number[]): Float32Array[] {
  const pairs = logps.length / 2;
  const policy = logps.map(total);
  const at = (list: readonly number[], i: number) => list[i] ?? Number.NaN;
  const losses = Array.from({ length: pairs }, (_, i) =>
    sigmoidDpoLoss(
      {
        policyChosenLogp: at(policy, i),
        policyRejectedLogp: at(policy, pairs + i),
        referenceChosenLogp: at(reference, i),
        referenceRejectedLogp: at(reference, pairs + i),
        chosenTokens: 1,
        rejectedTokens: 1,
      },
      { beta: 0.1, labelSmoothing: 0 },
    ),
  );
  const gradients = [
    ...losses.map(({ policyChosenGradient }) => policyChosenGradient),
    ...losses.map(({ policyRejectedGradient }) => policyRejectedGradient),
  ];
  return logps.map((list, i) => list.map(() => (gradients[i] ?? 0) / pairs));
}

function randomPairs({ pairs, tokens }: Subject, nVocab: number): Sequence[] {
  const random = SeededRandom.from(1);
  return Array.from({ length: 2 * pairs }, () => ({
    tokens: Int32Array.from({ length: tokens }, () => random.below(nVocab)),
    scored: Uint8Array.from({ length: tokens }, (_, i) => (i >= tokens / 2 ? 1 : 0)),
  }));
}

/**
 * The multiplications and additions that a step cannot do without: linear layers and head forward, dX, and dW
 * where weights are trained; attention below the diagonal only. Adapters' own products are left out.
 */
function stepFlops(shape: LlamaShape, { lora, pairs, tokens }: Subject): number {
  const width = shape.nHead * shape.headDim;
  const keys = shape.nHeadKv * shape.headDim;
  const linear = shape.nLayer * shape.nEmbd * (2 * width + 2 * keys + 3 * shape.nFf);
  const attention = shape.nLayer * 2 * (tokens / 2) * width;
  const head = (shape.nEmbd * shape.nVocab) / 2;
  const passes = lora === null ? 3 : 2;
  return 2 * pairs * tokens * 2 * (passes * (linear + head) + 3 * attention);
}

/** GFLOP/s of a BF16 mul_mat of 2048 × 2048 by 512, best of five. */
function calibrate(): number {
  using device = Device.open({ libraries: cpuLibraries(), threads: THREADS });
  using space = new WorkSpace(device);
  using graph = new Graph(device, 8);
  const a = graph.input(GGML_TYPE.bf16, [2048, 2048]);
  const b = graph.input(GGML_TYPE.f32, [2048, 512]);
  graph.seal();
  graph.expand(graph.operators.mulMat(a, b));
  graph.place(space);
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 5; run++) {
    const start = performance.now();
    graph.run(0);
    best = Math.min(best, performance.now() - start);
  }
  return (2 * 2048 * 2048 * 512) / best / 1e6;
}

/** The little vocabulary with filler up to `count` tokens. */
function fillVocabulary(count: number): TokenTable {
  const little = smallVocabulary();
  const filler = Array.from({ length: count - little.tokens.length }, (_, i) => `▁filler${i}`);
  return {
    ...little,
    tokens: [...little.tokens, ...filler],
    scores: Float32Array.from([...little.scores, ...filler.map((_, i) => -1e4 - i)]),
    types: Int32Array.from([...little.types, ...filler.map(() => 1)]),
  };
}

function total(list: Float32Array): number {
  return list.reduce((sum, each) => sum + each, 0);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
