/** One subject's figures, taken in a process of its own, so that its peak memory is its own too. */
import { readFileSync } from "node:fs";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { describeNode } from "#engine/native/ggml-node.ts";
import type { TensorPointer } from "#engine/native/ggml-pointer.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { Device } from "#trainer/ggml/device.ts";
import { Graph, WorkSpace } from "#trainer/ggml/graph.ts";
import { openTrainableOf } from "#trainer/model/open-trainable.ts";
import type { Sequence, Trainable } from "#trainer/model/trainable.ts";
import { randomWeights } from "./random-weights.ts";
import type { Subject } from "./subjects.ts";
import { paddingOf, stepFlops } from "./work.ts";

const TYPE_NAMES = new Map<number, string>(
  Object.entries(GGML_TYPE).map(([name, type]) => [type, name]),
);

/** How to measure. */
export type MeasureOptions = {
  readonly libraries: NativeLibraries;
  readonly threads: number;
  readonly steps: number;
};

/** What was found. */
export type Measurement = {
  readonly tokensPerSecond: number;
  readonly stepMs: number;
  /** Of the BF16 mul_mat rate taken right before each step; medians. */
  readonly share: number;
  /** The same by processor time instead of the clock's, which other processes disturb less; NaN on a GPU. */
  readonly shareOfCpuTime: number;
  readonly gflops: number;
  readonly padding: number;
  readonly peakBytes: number;
  readonly device: string;
};

/** Runs steps, each after a calibration. */
export async function measure(subject: Subject, options: MeasureOptions): Promise<Measurement> {
  using trainable = open(subject, options);
  using calibration = new Calibration(options);
  const batch = randomPairs(subject);
  const flops = stepFlops(subject, batch);
  const tokens = batch.reduce((sum, each) => sum + each.tokens.length, 0);
  await step(trainable, batch);
  const samples: { ms: number; gflops: number; share: number; shareOfCpuTime: number }[] = [];
  for (let i = 0; i < options.steps; i++) {
    const before = await timed(() => calibration.run());
    const taken = await timed(() => step(trainable, batch));
    samples.push({
      ms: taken.ms,
      gflops: calibration.flops / before.ms / 1e6,
      share: flops / taken.ms / (calibration.flops / before.ms),
      shareOfCpuTime: flops / taken.cpuMs / (calibration.flops / before.cpuMs),
    });
  }
  const stepMs = median(samples.map(({ ms }) => ms));
  return {
    stepMs,
    tokensPerSecond: tokens / (stepMs / 1000),
    share: median(samples.map(({ share }) => share)),
    shareOfCpuTime: median(samples.map(({ shareOfCpuTime }) => shareOfCpuTime)),
    gflops: median(samples.map(({ gflops }) => gflops)),
    padding: paddingOf(subject, batch),
    peakBytes: peakBytes(),
    device: calibration.device,
  };
}

/** Processor time by operator, or by operator and its operands' types and sizes, in ms of one step. */
export async function profile(
  subject: Subject,
  options: MeasureOptions & { readonly byShape: boolean },
): Promise<Map<string, number>> {
  using trainable = open(subject, options);
  const batch = randomPairs(subject);
  await step(trainable, batch);
  const sums = new Map<string, number>();
  const { run, runAside } = Graph.prototype;
  Graph.prototype.run = function (slice: number): void {
    for (const { operator, node, ms } of this.runTimed(slice, cpuMs)) {
      const key = options.byShape ? `${operator} ${describeOperands(node)}` : operator;
      sums.set(key, (sums.get(key) ?? 0) + ms / options.steps);
    }
  };
  Graph.prototype.runAside = async function (slice: number): Promise<void> {
    this.run(slice);
  };
  for (let i = 0; i < options.steps; i++) await step(trainable, batch);
  Object.assign(Graph.prototype, { run, runAside });
  return sums;
}

function describeOperands(node: TensorPointer): string {
  const { sources, ...result } = describeNode(node);
  return [result, ...sources.map(describeNode)]
    .map(({ type, ne }) => `${TYPE_NAMES.get(type) ?? type}[${ne.join(" ")}]`)
    .join(" ");
}

function open(subject: Subject, { libraries, threads }: MeasureOptions): Trainable {
  const { shape, weights, lora, precision, pairs, tokens } = subject;
  return openTrainableOf(randomWeights(shape, weights, libraries), shape, {
    lora,
    precision,
    threads,
    libraries,
    maxTokensPerBatch: 2 * pairs * tokens,
  });
}

/** Log-probabilities of the reference are not needed for the time: the weights stand for a loss of any kind. */
async function step(trainable: Trainable, batch: readonly Sequence[]): Promise<void> {
  await trainable.forwardBackward(batch, (logps) => logps.map((list) => list.map(() => -0.001)));
  trainable.gradientNorm();
  trainable.step({
    learningRate: 1e-5,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
    gradientScale: 1,
  });
}

/** A BF16 mul_mat of 2048 × 2048 by 512. */
class Calibration implements Disposable {
  readonly flops = 2 * 2048 * 2048 * 512;
  readonly device: string;
  readonly #resources = new DisposableStack();
  readonly #graph: Graph;

  constructor(options: MeasureOptions) {
    const device = this.#resources.use(Device.open(options));
    const space = this.#resources.use(new WorkSpace(device));
    this.#graph = this.#resources.use(new Graph(device, 8));
    const a = this.#graph.input(GGML_TYPE.bf16, [2048, 2048]);
    const b = this.#graph.input(GGML_TYPE.f32, [2048, 512]);
    this.#graph.seal();
    this.#graph.expand(this.#graph.operators.mulMat(a, b));
    this.#graph.place(space);
    this.device = `${device.name} (${device.description.trim()})`;
  }

  run(): void {
    this.#graph.run(0);
  }

  [Symbol.dispose](): void {
    this.#resources.dispose();
  }
}

/** The batch that each step is run on; the same at each call. */
export function randomPairs({ shape, pairs, tokens, varied }: Subject): Sequence[] {
  const random = SeededRandom.from(1);
  const draw = (length: number) => Array.from({ length }, () => random.below(shape.nVocab));
  const part = () => Math.round((tokens / 2) * (varied ? 0.5 + random.uniform() / 2 : 1));
  return Array.from({ length: pairs }, () => draw(part())).flatMap((prompt) =>
    [0, 1].map(() => {
      const all = Int32Array.from([...prompt, ...draw(part())]);
      return { tokens: all, scored: Uint8Array.from(all, (_, i) => (i < prompt.length ? 0 : 1)) };
    }),
  );
}

async function timed(work: () => void | Promise<void>): Promise<{ ms: number; cpuMs: number }> {
  const [start, startCpu] = [performance.now(), cpuMs()];
  await work();
  return { ms: performance.now() - start, cpuMs: cpuMs() - startCpu };
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** VmHWM of this process; elsewhere than on Linux its memory now. */
function peakBytes(): number {
  if (process.platform !== "linux") return process.memoryUsage.rss();
  return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}
