/** A model small enough to be exact: log p(next | token) from one table, with its gradient in closed form. */

import type {
  OptimizerState,
  ScoringOptions,
  Sequence,
  StepOptions,
} from "#trainer/model/trainable.ts";
import type { TrainingModel } from "#trainer/run/run.ts";

const NAME = "bigram.weight";

/** A table of logits [token, next]; the reference is the table as it began. */
export class Bigram implements TrainingModel {
  readonly #size: number;
  readonly #initial: Float32Array;
  readonly #gradient: Float32Array;
  #table: Float32Array;
  #optimizer: { step: number; m: Float32Array; v: Float32Array } | undefined;
  /** Forward and backward passes done: what a test counts to interrupt at one. */
  passes = 0;
  readonly #onPass: (passes: number) => void;

  /** @param onPass called after each forward and backward pass with how many there were */
  constructor(size: number, onPass: (passes: number) => void = () => undefined) {
    this.#onPass = onPass;
    this.#size = size;
    this.#initial = Float32Array.from({ length: size * size }, (_, i) => Math.sin(i));
    this.#table = this.#initial.slice();
    this.#gradient = new Float32Array(size * size);
  }

  async logps(batch: readonly Sequence[], options?: ScoringOptions): Promise<Float32Array[]> {
    const table = options?.reference === true ? this.#initial : this.#table;
    return batch.map((sequence) =>
      Float32Array.from(sequence.tokens, (token, i) =>
        sequence.scored[i] === 1 ? this.#logSoftmax(table, before(sequence, i), token) : 0,
      ),
    );
  }

  async forwardBackward(
    batch: readonly Sequence[],
    weigh: (logps: Float32Array[]) => readonly Float32Array[],
  ): Promise<Float32Array[]> {
    const logps = await this.logps(batch);
    const weights = weigh(logps);
    batch.forEach((sequence, row) => {
      sequence.tokens.forEach((token, i) => {
        const weight = weights[row]?.[i] ?? 0;
        if (weight !== 0) this.#addGradient(before(sequence, i), token, weight);
      });
    });
    this.passes += 1;
    this.#onPass(this.passes);
    return logps;
  }

  gradientNorm(): number {
    return Math.sqrt(this.#gradient.reduce((sum, g) => sum + g * g, 0));
  }

  step(o: StepOptions): void {
    const blank = () => new Float32Array(this.#table.length);
    const state = this.#optimizer ?? { step: 0, m: blank(), v: blank() };
    state.step += 1;
    this.#table.forEach((value, i) => {
      const g = (this.#gradient[i] ?? 0) * o.gradientScale;
      const m = o.beta1 * (state.m[i] ?? 0) + (1 - o.beta1) * g;
      const v = o.beta2 * (state.v[i] ?? 0) + (1 - o.beta2) * g * g;
      const ratio =
        m / (1 - o.beta1 ** state.step) / (Math.sqrt(v / (1 - o.beta2 ** state.step)) + o.epsilon);
      state.m[i] = m;
      state.v[i] = v;
      this.#table[i] = value * (1 - o.learningRate * o.weightDecay) - o.learningRate * ratio;
    });
    this.#optimizer = state;
    this.zeroGradients();
  }

  zeroGradients(): void {
    this.#gradient.fill(0);
  }

  parameters(): { name: string; ne: number[] }[] {
    return [{ name: NAME, ne: [this.#size, this.#size] }];
  }

  readParameter(_name: string = NAME): Float32Array {
    return this.#table.slice();
  }

  writeParameter(_name: string, values: Float32Array): void {
    this.#table = values.slice();
  }

  readOptimizer(): OptimizerState {
    if (this.#optimizer === undefined) return { step: 0, moments: new Map() };
    const { step, m, v } = this.#optimizer;
    return { step, moments: new Map([[NAME, { m: m.slice(), v: v.slice() }]]) };
  }

  writeOptimizer({ step, moments }: OptimizerState): void {
    const kept = moments.get(NAME);
    this.#optimizer = kept && { step, m: kept.m.slice(), v: kept.v.slice() };
  }

  #logSoftmax(table: Float32Array, token: number, next: number): number {
    const row = table.subarray(token * this.#size, (token + 1) * this.#size);
    const sum = row.reduce((total, logit) => total + Math.exp(logit), 0);
    return (row[next] ?? 0) - Math.log(sum);
  }

  #addGradient(token: number, next: number, weight: number): void {
    const row = this.#table.subarray(token * this.#size, (token + 1) * this.#size);
    const logNext = this.#logSoftmax(this.#table, token, next);
    const logSum = (row[next] ?? 0) - logNext;
    row.forEach((logit, other) => {
      const at = token * this.#size + other;
      const p = Math.exp(logit - logSum);
      this.#gradient[at] = (this.#gradient[at] ?? 0) + weight * ((other === next ? 1 : 0) - p);
    });
  }
}

function before({ tokens }: Sequence, i: number): number {
  return tokens[i - 1] ?? 0;
}
