/**
 * Brings a GGUF's weights onto the device and lays out what is trained: an adapter on frozen weights in their
 * stored type, or F32 masters of everything with working copies.
 */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { GgufFile, GgufTensor } from "#engine/native/gguf.ts";
import { SeededRandom } from "../data/random.ts";
import type { Device } from "../ggml/device.ts";
import { Graph, WorkSpace } from "../ggml/graph.ts";
import { Storage, writeTensor } from "../ggml/storage.ts";
import { countElements, type Tensor } from "../ggml/tensor.ts";
import { type LlamaShape, llamaTensors } from "../gguf/llama-shape.ts";
import { loraScale } from "./lora-scale.ts";
import { ropeFrequencies } from "./read-shape.ts";
import type { LoraOptions, LoraTarget } from "./trainable.ts";
import type { Adapter, Block, Linear, Norm, Parameter, Weights } from "./weights.ts";

/** How the weights are to be held. */
export type LoadOptions = {
  readonly device: Device;
  readonly file: GgufFile;
  readonly shape: LlamaShape;
  readonly lora: LoraOptions | null;
  /** ggml type of products' operands: F32 or BF16. */
  readonly workType: number;
};

/** The loaded model, its trained parameters, and the memory that holds them. */
export type LoadedModel = {
  readonly weights: Weights;
  readonly parameters: readonly Parameter[];
  readonly storages: readonly Storage[];
  /** Holds the gradients alone, so that one call clears them. */
  readonly gradients: Storage;
};

/** The GGUF name of each LoRA target within a block. */
const TARGET_TENSORS: Readonly<Record<LoraTarget, string>> = {
  q: "attn_q",
  k: "attn_k",
  v: "attn_v",
  o: "attn_output",
  gate: "ffn_gate",
  up: "ffn_up",
  down: "ffn_down",
};

/** Tensors that each weight or adapter may call for: value, gradient, two moments, two copies. */
const TENSORS_EACH = 8;

/** Loads the model; the caller disposes of `storages`. */
export function loadWeights(options: LoadOptions): LoadedModel {
  const loader = new WeightLoader(options);
  try {
    return loader.load();
  } catch (error) {
    for (const storage of loader.storages) storage[Symbol.dispose]();
    throw error;
  }
}

class WeightLoader {
  readonly storages: readonly Storage[];
  readonly #options: LoadOptions;
  /** Values and working copies. */
  readonly #values: Storage;
  readonly #gradients: Storage;
  readonly #moments: Storage;
  readonly #parameters: Parameter[] = [];
  #adapters = 0;
  /** What to do once there is memory. */
  readonly #fills: (() => void)[] = [];

  constructor(options: LoadOptions) {
    const capacity = TENSORS_EACH * (llamaTensors(options.shape).length + 1);
    this.#options = options;
    this.#values = new Storage(options.device, capacity);
    this.#gradients = new Storage(options.device, capacity);
    this.#moments = new Storage(options.device, capacity);
    this.storages = [this.#values, this.#gradients, this.#moments];
  }

  load(): LoadedModel {
    const weights = this.#declare();
    for (const storage of this.storages) storage.allocate();
    for (const fill of this.#fills) fill();
    return {
      weights,
      parameters: this.#parameters,
      storages: this.storages,
      gradients: this.#gradients,
    };
  }

  #declare(): Weights {
    const { shape } = this.#options;
    const embedding = this.#linear("token_embd", undefined, shape.tied);
    const blocks = Array.from({ length: shape.nLayer }, (_, layer) => this.#block(layer));
    const outputNorm = this.#norm("output_norm");
    const head = shape.tied ? embedding.linear : this.#linear("output", undefined, true).linear;
    return {
      shape,
      embedding: embedding.stored,
      embeddingGradient: embedding.linear.gradient,
      blocks,
      outputNorm,
      head,
      ropeFactors: this.#ropeFactors(),
    };
  }

  #block(layer: number): Block {
    const linear = (target: LoraTarget) =>
      this.#linear(`blk.${layer}.${TARGET_TENSORS[target]}`, this.#site(layer, target), true)
        .linear;
    return {
      attnNorm: this.#norm(`blk.${layer}.attn_norm`),
      q: linear("q"),
      k: linear("k"),
      v: linear("v"),
      o: linear("o"),
      ffnNorm: this.#norm(`blk.${layer}.ffn_norm`),
      gate: linear("gate"),
      up: linear("up"),
      down: linear("down"),
      isLast: layer === this.#options.shape.nLayer - 1,
    };
  }

  /** The target where an adapter sits on it in this layer. */
  #site(layer: number, target: LoraTarget): LoraTarget | undefined {
    const layers = this.#options.lora?.layers;
    return layers === undefined || layers.includes(layer) ? target : undefined;
  }

  /** A matrix; `isMultiplied` is false for an embedding that is only looked up. */
  #linear(
    stem: string,
    target: LoraTarget | undefined,
    isMultiplied: boolean,
  ): { linear: Linear; stored: Tensor } {
    const source = this.#source(`${stem}.weight`);
    return this.#options.lora === null
      ? this.#trainedMatrix(source, isMultiplied)
      : this.#frozenMatrix(source, target, isMultiplied);
  }

  #trainedMatrix(source: GgufTensor, isMultiplied: boolean): { linear: Linear; stored: Tensor } {
    const { workType } = this.#options;
    const [nIn = 1, nOut = 1] = source.ne;
    const value = this.#values.add(GGML_TYPE.f32, source.ne);
    const copied = isMultiplied && workType !== GGML_TYPE.f32;
    const forwardCopy = copied ? this.#values.add(workType, source.ne) : undefined;
    const backwardCopy = isMultiplied ? this.#values.add(workType, [nOut, nIn]) : undefined;
    const { gradient } = this.#parameter(source.name, value, { forwardCopy, backwardCopy });
    this.#fills.push(() => this.#dequantise(source, value));
    const linear = {
      forward: forwardCopy ?? value,
      backward: backwardCopy ?? value,
      gradient,
      adapter: undefined,
    };
    return { linear, stored: value };
  }

  #frozenMatrix(
    source: GgufTensor,
    target: LoraTarget | undefined,
    isMultiplied: boolean,
  ): { linear: Linear; stored: Tensor } {
    const { workType } = this.#options;
    const [nIn = 1, nOut = 1] = source.ne;
    // F32 files gain from BF16 products; smaller types are multiplied as they are stored.
    const isF32 = source.type === GGML_TYPE.f32;
    const forward = this.#values.add(isMultiplied && isF32 ? workType : source.type, source.ne);
    const stored =
      forward.type === source.type ? forward : this.#values.add(source.type, source.ne);
    const backward = isMultiplied ? this.#values.add(workType, [nOut, nIn]) : forward;
    this.#fills.push(() => this.#fillFrozen(source, stored, forward, backward));
    const adapter = target === undefined ? undefined : this.#adapter(source, target);
    return { linear: { forward, backward, gradient: undefined, adapter }, stored };
  }

  #fillFrozen(source: GgufTensor, stored: Tensor, forward: Tensor, backward: Tensor): void {
    const { device, file } = this.#options;
    writeTensor(device, stored, file.readTensor(source));
    if (backward === forward) return;
    convert(device, stored, (graph, values) => {
      const { operators } = graph;
      graph.expand(operators.copyInto(operators.transpose(values), backward));
      if (forward !== stored) graph.expand(operators.copyInto(values, forward));
    });
  }

  #adapter(source: GgufTensor, target: LoraTarget): Adapter | undefined {
    const { lora } = this.#options;
    if (lora === null || !lora.targets.includes(target)) return undefined;
    const [nIn = 1, nOut = 1] = source.ne;
    const { device } = this.#options;
    const a = this.#values.add(GGML_TYPE.f32, [nIn, lora.rank]);
    const b = this.#values.add(GGML_TYPE.f32, [lora.rank, nOut]);
    const random = SeededRandom.from(lora.seed, this.#parameters.length);
    // PEFT's default, kaiming_uniform with a = √5: uniform within ±1/√in.
    const bound = 1 / Math.sqrt(nIn);
    const draws = Float32Array.from(
      { length: nIn * lora.rank },
      () => bound * (2 * random.uniform() - 1),
    );
    this.#fills.push(() => writeTensor(device, a, draws));
    return {
      a,
      b,
      gradientA: this.#parameter(`${source.name}.lora_a`, a).gradient,
      gradientB: this.#parameter(`${source.name}.lora_b`, b).gradient,
      scale: loraScale(lora),
      index: this.#adapters++,
    };
  }

  #norm(stem: string): Norm {
    const source = this.#source(`${stem}.weight`);
    const weight = this.#values.add(GGML_TYPE.f32, source.ne);
    this.#fills.push(() => this.#dequantise(source, weight));
    if (this.#options.lora !== null) return { weight, gradient: undefined };
    return { weight, gradient: this.#parameter(source.name, weight).gradient };
  }

  #ropeFactors(): Tensor | null {
    const source = ropeFrequencies(this.#options.file);
    if (source === undefined) return null;
    const factors = this.#values.add(GGML_TYPE.f32, source.ne);
    this.#fills.push(() => this.#dequantise(source, factors));
    return factors;
  }

  #parameter(
    name: string,
    value: Tensor,
    copies: { forwardCopy?: Tensor | undefined; backwardCopy?: Tensor | undefined } = {},
  ): Parameter {
    const parameter = {
      name,
      value,
      gradient: this.#gradients.add(GGML_TYPE.f32, value.ne),
      m: this.#moments.add(GGML_TYPE.f32, value.ne),
      v: this.#moments.add(GGML_TYPE.f32, value.ne),
      isMatrix: !name.endsWith("_norm.weight"),
      forwardCopy: copies.forwardCopy,
      backwardCopy: copies.backwardCopy,
    };
    this.#parameters.push(parameter);
    return parameter;
  }

  #source(name: string): GgufTensor {
    const found = this.#options.file.tensor(name);
    if (found === undefined)
      throw new Error(`${name} is missing, which the check should have told`);
    return found;
  }

  /** Fills an F32 tensor from a stored one of any type. */
  #dequantise(source: GgufTensor, value: Tensor): void {
    const { device, file } = this.#options;
    const bytes = file.readTensor(source);
    if (source.type === GGML_TYPE.f32) {
      writeTensor(device, value, bytes);
      return;
    }
    using staging = new Storage(device, 1);
    const stored = staging.add(source.type, source.ne);
    staging.allocate();
    writeTensor(device, stored, bytes);
    convert(device, stored, (graph, values) => {
      graph.expand(graph.operators.copyInto(values, value));
    });
  }
}

/** Runs a little graph on the F32 values of a stored matrix; GET_ROWS dequantises on every backend. */
function convert(
  device: Device,
  stored: Tensor,
  build: (graph: Graph, values: Tensor) => void,
): void {
  using graph = new Graph(device, 16);
  using space = new WorkSpace(device);
  const rows = graph.input(GGML_TYPE.i32, [stored.ne[1]]);
  graph.seal();
  build(graph, graph.operators.getRows(stored, rows));
  graph.place(space);
  writeTensor(
    device,
    rows,
    Int32Array.from({ length: countElements(rows.ne) }, (_, i) => i),
  );
  graph.run(0);
}
