/**
 * AdamW over all parameters on the device (arXiv 1711.05101), with the gradients' norm, and the refresh of
 * the copies that products read. It knows parameters, not layers.
 */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { Device } from "../ggml/device.ts";
import { Graph, WorkSpace } from "../ggml/graph.ts";
import { readFloats, writeTensor } from "../ggml/storage.ts";
import type { Tensor } from "../ggml/tensor.ts";
import type { StepOptions } from "../model/trainable.ts";
import type { Parameter } from "../model/weights.ts";

const NORM = 0;
const UPDATE = 1;
const REFRESH = 2;
/** Most nodes that one parameter adds: square, sum, copy, scale, step, copies, their views. */
const NODES_EACH = 20;

/** The optimiser of one model's parameters. */
export class AdamW implements Disposable {
  /** Steps done; the bias corrections depend on it. */
  stepCount = 0;
  readonly #device: Device;
  readonly #graph: Graph;
  readonly #space: WorkSpace;
  /** F32 [1, parameters]: each gradient's sum of squares. */
  readonly #squares: Tensor;
  /** F32 [longest row]: the scale again and again, since the CPU multiplies rows by rows fast, by a number slowly. */
  readonly #gradientScale: Tensor;
  readonly #decayed: Tensor;
  readonly #undecayed: Tensor;

  constructor(device: Device, parameters: readonly Parameter[]) {
    this.#device = device;
    this.#space = new WorkSpace(device);
    this.#graph = new Graph(device, NODES_EACH * parameters.length + NODES_EACH);
    this.#squares = this.#graph.input(GGML_TYPE.f32, [1, parameters.length]);
    const longest = parameters.reduce((most, { value }) => Math.max(most, value.ne[0]), 1);
    this.#gradientScale = this.#graph.input(GGML_TYPE.f32, [longest]);
    this.#decayed = this.#graph.input(GGML_TYPE.f32, [7]);
    this.#undecayed = this.#graph.input(GGML_TYPE.f32, [7]);
    this.#graph.seal();
    this.#build(parameters);
    this.#graph.place(this.#space);
  }

  /** Bytes of memory that updating takes beside the parameters. */
  get bytes(): number {
    return this.#space.bytes + this.#graph.inputBytes;
  }

  /** √Σ g² over all gradients. */
  gradientNorm(): number {
    this.#graph.run(NORM);
    const squares = readFloats(this.#device, this.#squares);
    return Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
  }

  /** One update of every parameter, and of its copies. The gradients are left scaled. */
  step(options: StepOptions): void {
    this.stepCount++;
    const corrections = [
      1 / (1 - options.beta1 ** this.stepCount),
      1 / (1 - options.beta2 ** this.stepCount),
    ];
    const figures = [options.learningRate, options.beta1, options.beta2, options.epsilon];
    const row = (decay: number) => Float32Array.of(...figures, decay, ...corrections);
    writeTensor(this.#device, this.#decayed, row(options.weightDecay));
    writeTensor(this.#device, this.#undecayed, row(0));
    const scales = new Float32Array(this.#gradientScale.ne[0]).fill(options.gradientScale);
    writeTensor(this.#device, this.#gradientScale, scales);
    this.#graph.run(UPDATE);
    this.refresh();
  }

  /** Brings the copies up to date with the values. */
  refresh(): void {
    this.#graph.run(REFRESH);
  }

  [Symbol.dispose](): void {
    this.#graph[Symbol.dispose]();
    this.#space[Symbol.dispose]();
  }

  #build(parameters: readonly Parameter[]): void {
    const { operators } = this.#graph;
    for (const [index, { gradient }] of parameters.entries()) {
      const square = operators.sum(operators.mul(gradient, gradient));
      const to = operators.slice(this.#squares, 1, index, 1);
      this.#graph.expand(operators.copyInto(square, to));
    }
    this.#graph.cut();
    for (const { value, gradient, m, v, isMatrix } of parameters) {
      const scale = operators.slice(this.#gradientScale, 0, 0, gradient.ne[0]);
      const scaled = operators.mulInto(gradient, scale);
      const figures = isMatrix ? this.#decayed : this.#undecayed;
      this.#graph.expand(operators.adamwStep(value, scaled, m, v, figures));
    }
    this.#graph.cut();
    for (const { value, copies } of parameters) {
      for (const { to, turned, from } of copies) {
        const given = turned ? operators.transpose(value) : value;
        const place = operators.slice(to, turned ? 0 : 1, from, value.ne[1]);
        this.#graph.expand(operators.copyInto(given, place));
      }
    }
  }
}
