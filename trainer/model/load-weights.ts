/**
 * Brings a GGUF's weights onto the device and lays out what is trained: an adapter on frozen weights in their
 * stored type, or F32 masters of everything with working copies.
 */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { GgufTensor } from "#engine/native/gguf.ts";
import { SeededRandom } from "../data/random.ts";
import type { Device } from "../ggml/device.ts";
import { Storage, writeTensor } from "../ggml/storage.ts";
import type { Tensor } from "../ggml/tensor.ts";
import { type LlamaShape, llamaTensors } from "../gguf/llama-shape.ts";
import { WeightFiller, type WeightSource } from "./fill-weights.ts";
import { OUT_PROD_RANK } from "./linear.ts";
import { loraScale } from "./lora-scale.ts";
import { ropeFrequencies } from "./read-shape.ts";
import type { LoraOptions, LoraTarget } from "./trainable.ts";
import type {
  Adapter,
  Block,
  Joined,
  Linear,
  Norm,
  Parameter,
  ParameterCopy,
  Siblings,
  Weights,
} from "./weights.ts";

/** How the weights are to be held. */
export type LoadOptions = {
  readonly device: Device;
  readonly source: WeightSource;
  readonly shape: LlamaShape;
  readonly lora: LoraOptions | null;
  /** ggml type of products' operands: F32 or BF16. */
  readonly workType: number;
  /** Whether frozen blocks' matrices are also held transposed; otherwise they are turned in each pass. */
  readonly keepsTransposes: boolean;
};

/** The loaded model, its trained parameters, and the memory that holds them. */
export type LoadedModel = {
  readonly weights: Weights;
  readonly parameters: readonly Parameter[];
  readonly storages: ModelStorages;
};

/** What holds a model's tensors, by what they are for. */
type ModelStorages = {
  /** Frozen weights and their transposes. */
  readonly base: Storage;
  /** What is trained, with its working copies. */
  readonly trained: Storage;
  /** Gradients alone, so that one call clears them. */
  readonly gradients: Storage;
  readonly moments: Storage;
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

/** Products along a dimension are fast for multiples of this. */
const FAST_LENGTH = 32;

/** Where one of several joined layers stands. */
type JoinedPlace = {
  readonly joined: Joined;
  /** Its first column of `joined.backward`, and that of its A. */
  readonly column: number;
  readonly aColumn: number;
  /** The first row of its A in `joined.forwardA`. */
  readonly aRow: number;
};

/** Tensors that each weight or adapter may call for: value, gradient, two moments, two copies. */
const TENSORS_EACH = 10;

/** Loads the model; the caller disposes of `storages`. */
export function loadWeights(options: LoadOptions): LoadedModel {
  const loader = new WeightLoader(options);
  try {
    return loader.load();
  } catch (error) {
    for (const storage of Object.values(loader.storages)) storage[Symbol.dispose]();
    throw error;
  }
}

class WeightLoader {
  readonly storages: ModelStorages;
  readonly #options: LoadOptions;
  readonly #parameters: Parameter[] = [];
  #adapters = 0;
  /** What to do once there is memory. */
  readonly #fills: ((filler: WeightFiller) => void)[] = [];

  constructor(options: LoadOptions) {
    const capacity = TENSORS_EACH * (llamaTensors(options.shape).length + 1);
    const storage = () => new Storage(options.device, capacity);
    this.#options = options;
    this.storages = {
      base: storage(),
      trained: storage(),
      gradients: storage(),
      moments: storage(),
    };
  }

  load(): LoadedModel {
    const { device, source } = this.#options;
    const weights = this.#declare();
    for (const storage of Object.values(this.storages)) storage.allocate();
    if (!device.isDry) {
      const filler = new WeightFiller(device, source);
      for (const fill of this.#fills) fill(filler);
    }
    return { weights, parameters: this.#parameters, storages: this.storages };
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
    return {
      attnNorm: this.#norm(`blk.${layer}.attn_norm`),
      qkv: this.#siblings(layer, ["q", "k", "v"]),
      o: this.#blockLinear(layer, "o"),
      ffnNorm: this.#norm(`blk.${layer}.ffn_norm`),
      gateUp: this.#siblings(layer, ["gate", "up"]),
      down: this.#blockLinear(layer, "down"),
      isLast: layer === this.#options.shape.nLayer - 1,
      isLowest: layer === this.#lowestTrained(),
    };
  }

  #blockLinear(layer: number, target: LoraTarget, place?: JoinedPlace): Linear {
    const site = this.#hasAdapter(layer, target) ? target : undefined;
    return this.#linear(stemOf(layer, target), site, true, place).linear;
  }

  #siblings(layer: number, targets: readonly LoraTarget[]): Siblings {
    const joined = this.#join(layer, targets);
    if (joined === undefined) {
      return { members: targets.map((each) => this.#blockLinear(layer, each)), joined };
    }
    let [column, row] = [0, 0];
    // A's stand behind all W's.
    let behind = targets.reduce((sum, each) => sum + this.#outputs(layer, each), 0);
    const members = targets.map((target) => {
      const place = { joined, column, aColumn: behind, aRow: row };
      const rank = this.#rankAt(layer, target);
      [column, behind, row] = [column + this.#outputs(layer, target), behind + rank, row + rank];
      return this.#blockLinear(layer, target, place);
    });
    return { members, joined };
  }

  /** Memory for siblings that go as one; none where that does not help, or something differs between them. */
  #join(layer: number, targets: readonly LoraTarget[]): Joined | undefined {
    const { device, lora, keepsTransposes, workType } = this.#options;
    if (lora === null || !device.isCpu || !keepsTransposes) return undefined;
    // Each adapter drops other entries of the input.
    if ((lora.dropout ?? 0) > 0 || lora.rank > OUT_PROD_RANK) return undefined;
    const ranks = targets.reduce((sum, each) => sum + this.#rankAt(layer, each), 0);
    const outputs = targets.reduce((sum, each) => sum + this.#outputs(layer, each), 0);
    const nIn = this.#source(`${stemOf(layer, targets[0] ?? "q")}.weight`).ne[0] ?? 1;
    if (ranks === 0) return undefined;
    const length = Math.ceil((outputs + ranks) / FAST_LENGTH) * FAST_LENGTH;
    return {
      backward: this.storages.base.add(workType, [length, nIn]),
      forwardA: this.storages.trained.add(workType, [nIn, ranks]),
      scale: loraScale(lora),
    };
  }

  #outputs(layer: number, target: LoraTarget): number {
    return this.#source(`${stemOf(layer, target)}.weight`).ne[1] ?? 1;
  }

  #rankAt(layer: number, target: LoraTarget): number {
    return this.#hasAdapter(layer, target) ? (this.#options.lora?.rank ?? 0) : 0;
  }

  #hasAdapter(layer: number, target: LoraTarget): boolean {
    const { lora } = this.#options;
    if (lora === null || !lora.targets.includes(target)) return false;
    return lora.layers === undefined || lora.layers.includes(layer);
  }

  /** The lowest block with an adapter; none where the embedding is trained too. */
  #lowestTrained(): number | undefined {
    const { lora } = this.#options;
    return lora === null ? undefined : Math.min(...(lora.layers ?? [0]));
  }

  /** A matrix; `isMultiplied` is false for an embedding that is only looked up. */
  #linear(
    stem: string,
    target: LoraTarget | undefined,
    isMultiplied: boolean,
    place?: JoinedPlace,
  ): { linear: Linear; stored: Tensor } {
    const source = this.#source(`${stem}.weight`);
    return this.#options.lora === null
      ? this.#trainedMatrix(source, isMultiplied)
      : this.#frozenMatrix(source, target, isMultiplied, place);
  }

  #trainedMatrix(source: GgufTensor, isMultiplied: boolean): { linear: Linear; stored: Tensor } {
    const { workType } = this.#options;
    const { trained } = this.storages;
    const [nIn = 1, nOut = 1] = source.ne;
    const value = trained.add(GGML_TYPE.f32, source.ne);
    const copied = isMultiplied && workType !== GGML_TYPE.f32;
    const forwardCopy = copied ? trained.add(workType, source.ne) : undefined;
    const backwardCopy = isMultiplied ? trained.add(workType, [nOut, nIn]) : undefined;
    const { gradient } = this.#parameter(source.name, value, [
      ...copyTo(forwardCopy, false),
      ...copyTo(backwardCopy, true),
    ]);
    this.#fills.push((filler) => filler.fillValues(source, value));
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
    place: JoinedPlace | undefined,
  ): { linear: Linear; stored: Tensor } {
    const { workType, keepsTransposes } = this.#options;
    const { base } = this.storages;
    const [nIn = 1, nOut = 1] = source.ne;
    // F32 files gain from BF16 products; smaller types are multiplied as they are stored.
    const isF32 = source.type === GGML_TYPE.f32;
    const forward = base.add(isMultiplied && isF32 ? workType : source.type, source.ne);
    const stored = forward.type === source.type ? forward : base.add(source.type, source.ne);
    // The head is read in chunks of tokens: turning it for each would cost more than it holds.
    const isKept = isMultiplied && (keepsTransposes || !source.name.startsWith("blk."));
    const isAlone = isKept && place === undefined;
    const backward = isAlone ? base.add(workType, [nOut, nIn]) : undefined;
    this.#fills.push((filler) => {
      filler.fillStored(source, stored);
      if (isMultiplied && (isKept || forward !== stored)) {
        const copy = forward === stored ? undefined : forward;
        filler.convert(stored, copy, place?.joined.backward ?? backward, place?.column);
      }
    });
    const adapter = target === undefined ? undefined : this.#adapter(source, place);
    return { linear: { forward, backward, gradient: undefined, adapter }, stored };
  }

  #adapter(source: GgufTensor, place: JoinedPlace | undefined): Adapter | undefined {
    const { lora } = this.#options;
    if (lora === null) return undefined;
    const [nIn = 1, nOut = 1] = source.ne;
    const { device, workType } = this.#options;
    const { trained } = this.storages;
    const a = trained.add(GGML_TYPE.f32, [nIn, lora.rank]);
    const b = trained.add(GGML_TYPE.f32, [lora.rank, nOut]);
    const isCopied = place === undefined && workType !== GGML_TYPE.f32;
    const forwardCopy = isCopied ? trained.add(workType, [nIn, lora.rank]) : undefined;
    const backwardCopy = trained.add(workType, [nOut, lora.rank]);
    const random = SeededRandom.from(lora.seed, this.#parameters.length);
    // PEFT's default, kaiming_uniform with a = √5: uniform within ±1/√in.
    const bound = 1 / Math.sqrt(nIn);
    this.#fills.push(() => {
      const draw = () => bound * (2 * random.uniform() - 1);
      writeTensor(device, a, Float32Array.from({ length: nIn * lora.rank }, draw));
    });
    return {
      a,
      b,
      forwardA: forwardCopy ?? a,
      backwardB: backwardCopy,
      gradientA: this.#parameter(`${source.name}.lora_a`, a, [
        ...copyTo(forwardCopy, false),
        ...copyTo(place?.joined.forwardA, false, place?.aRow),
        ...copyTo(place?.joined.backward, true, place?.aColumn),
      ]).gradient,
      gradientB: this.#parameter(`${source.name}.lora_b`, b, copyTo(backwardCopy, true)).gradient,
      scale: loraScale(lora),
      index: this.#adapters++,
    };
  }

  #norm(stem: string): Norm {
    const source = this.#source(`${stem}.weight`);
    const isFrozen = this.#options.lora !== null;
    const { base, trained } = this.storages;
    const weight = (isFrozen ? base : trained).add(GGML_TYPE.f32, source.ne);
    this.#fills.push((filler) => filler.fillValues(source, weight));
    if (isFrozen) return { weight, gradient: undefined };
    return { weight, gradient: this.#parameter(source.name, weight).gradient };
  }

  #ropeFactors(): Tensor | null {
    const source = ropeFrequencies(this.#options.source);
    if (source === undefined) return null;
    const factors = this.storages.base.add(GGML_TYPE.f32, source.ne);
    this.#fills.push((filler) => filler.fillValues(source, factors));
    return factors;
  }

  #parameter(name: string, value: Tensor, copies: readonly ParameterCopy[] = []): Parameter {
    const parameter = {
      name,
      value,
      gradient: this.storages.gradients.add(GGML_TYPE.f32, value.ne),
      m: this.storages.moments.add(GGML_TYPE.f32, value.ne),
      v: this.storages.moments.add(GGML_TYPE.f32, value.ne),
      isMatrix: !name.endsWith("_norm.weight"),
      copies,
    };
    this.#parameters.push(parameter);
    return parameter;
  }

  #source(name: string): GgufTensor {
    const found = this.#options.source.tensor(name);
    if (found === undefined)
      throw new Error(`${name} is missing, which the check should have told`);
    return found;
  }
}

function stemOf(layer: number, target: LoraTarget): string {
  return `blk.${layer}.${TARGET_TENSORS[target]}`;
}

function copyTo(to: Tensor | undefined, turned: boolean, from = 0): ParameterCopy[] {
  return to === undefined ? [] : [{ to, turned, from }];
}
