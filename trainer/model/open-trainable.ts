/** Opens a GGUF as a `Trainable`. */
import { GgufFile } from "#engine/native/gguf.ts";
import { SeededRandom } from "../data/random.ts";
import { Device } from "../ggml/device.ts";
import { WorkSpace } from "../ggml/graph.ts";
import { readFloats, writeTensor } from "../ggml/storage.ts";
import type { LlamaShape } from "../gguf/llama-shape.ts";
import { AdamW } from "../optimizer/adamw.ts";
import { type PackedBatch, packBatch, packScored, paddedTokens, unpackScored } from "./batch.ts";
import { drawDropout } from "./dropout.ts";
import type { WeightSource } from "./fill-weights.ts";
import { LEAST_LOGP } from "./head.ts";
import { KeptGraphs } from "./kept-graphs.ts";
import { type LoadedModel, loadWeights } from "./load-weights.ts";
import { buildFittingGraph, fillBatch, type ModelGraph } from "./model-graph.ts";
import { readLlamaShape } from "./read-shape.ts";
import {
  ACTIVATION_BYTES,
  type LoraOptions,
  type Moments,
  type OptimizerState,
  type ParameterInfo,
  type ScoringOptions,
  type Sequence,
  type StepOptions,
  type Trainable,
  type TrainableOptions,
} from "./trainable.ts";
import type { Parameter } from "./weights.ts";
import { workTypeOn } from "./work-type.ts";

type ComputeOptions = Omit<TrainableOptions, "ggufPath">;

type GraphKind = {
  readonly backward: boolean;
  readonly reference: boolean;
  readonly dropout: boolean;
};

const FORWARD = 0;
const BACKWARD = 1;
/** Keeps dropout's draws apart from others of the same seed. */
const DROPOUT = 0x64726f70;

/**
 * Loads the model and prepares what is to be trained.
 * @throws CodedError `model_missing`, `model_invalid`, `out_of_memory`, `native_failed`
 * @throws RangeError where the options contradict each other
 */
export function openTrainable(options: TrainableOptions): Trainable {
  using file = GgufFile.open(options.ggufPath, options.libraries);
  return openTrainableOf(file, readLlamaShape(file), options);
}

/** As `openTrainable`, with weights from elsewhere than a file; `source` is read during the call only. */
export function openTrainableOf(
  source: WeightSource,
  shape: LlamaShape,
  options: ComputeOptions,
): Trainable {
  checkOptions(options);
  checkLayers(options.lora, shape);
  using stack = new DisposableStack();
  const device = stack.use(Device.open(options));
  const workType = workTypeOn(device, options.precision);
  const model = loadWeights({
    device,
    source,
    shape,
    lora: options.lora,
    workType,
    keepsTransposes: options.keepsTransposes ?? device.isCpu,
  });
  for (const storage of Object.values(model.storages)) stack.use(storage);
  const optimizer = stack.use(new AdamW(device, model.parameters));
  optimizer.refresh();
  const space = stack.use(new WorkSpace(device));
  return new GgmlTrainable({ options, device, model, optimizer, space, resources: stack.move() });
}

class GgmlTrainable implements Trainable {
  readonly shape: LlamaShape;
  readonly lora: LoraOptions | null;
  readonly #options: ComputeOptions;
  readonly #openDevice: Device;
  readonly #model: LoadedModel;
  readonly #optimizer: AdamW;
  readonly #space: WorkSpace;
  readonly #resources: DisposableStack;
  readonly #parameters: ReadonlyMap<string, Parameter>;
  readonly #graphs = new KeptGraphs();
  #isStale = false;
  /** Forward and backward passes since the gradients were zeroed. */
  #passes = 0;

  constructor(fields: {
    readonly options: ComputeOptions;
    readonly device: Device;
    readonly model: LoadedModel;
    readonly optimizer: AdamW;
    readonly space: WorkSpace;
    readonly resources: DisposableStack;
  }) {
    this.shape = fields.model.weights.shape;
    this.lora = fields.options.lora;
    this.#options = fields.options;
    this.#openDevice = fields.device;
    this.#model = fields.model;
    this.#optimizer = fields.optimizer;
    this.#space = fields.space;
    this.#resources = fields.resources;
    this.#parameters = new Map(fields.model.parameters.map((each) => [each.name, each]));
  }

  async logps(batch: readonly Sequence[], options: ScoringOptions = {}): Promise<Float32Array[]> {
    const results: Float32Array[] = [];
    for (const part of this.#split(batch)) {
      const packed = packBatch(part, this.shape.nVocab);
      const kind = { backward: false, reference: options.reference ?? false, dropout: false };
      const { logps } = await this.#score(kind, part, packed, options.signal);
      results.push(...logps);
    }
    return results;
  }

  async forwardBackward(
    batch: readonly Sequence[],
    weigh: (logps: Float32Array[]) => readonly Float32Array[],
    signal?: AbortSignal,
  ): Promise<Float32Array[]> {
    if (batch.length === 0) return [];
    this.#checkFits(batch);
    const packed = packBatch(batch, this.shape.nVocab);
    const dropout = (this.lora?.dropout ?? 0) > 0;
    const kind = { backward: true, reference: false, dropout };
    const { model, logps } = await this.#score(kind, batch, packed, signal);
    this.#passes++;
    const weights = packScored(batch, weigh(logps), packed.shape.nScored);
    // d logp / d logits is onehot − softmax, and the graph holds softmax − onehot.
    writeTensor(
      this.#device,
      model.inputs.weights,
      weights.map((weight) => -weight),
    );
    await model.graph.runAside(BACKWARD, signal);
    return logps;
  }

  gradientNorm(): number {
    this.#assertOpen();
    return this.#optimizer.gradientNorm();
  }

  step(options: StepOptions): void {
    this.#assertOpen();
    this.#optimizer.step(options);
    this.#isStale = false;
    this.zeroGradients();
  }

  zeroGradients(): void {
    this.#assertOpen();
    this.#model.storages.gradients.clear();
    this.#passes = 0;
  }

  parameters(): readonly ParameterInfo[] {
    return this.#model.parameters.map(({ name, value, isMatrix }) => ({
      name,
      ne: value.ne.slice(0, isMatrix ? 2 : 1),
    }));
  }

  readParameter(name: string): Float32Array {
    return readFloats(this.#device, this.#parameter(name).value);
  }

  writeParameter(name: string, values: Float32Array): void {
    writeTensor(this.#device, this.#parameter(name).value, values);
    this.#isStale = true;
  }

  readGradient(name: string): Float32Array {
    return readFloats(this.#device, this.#parameter(name).gradient);
  }

  readOptimizer(): OptimizerState {
    const moments = new Map<string, Moments>();
    for (const { name, m, v } of this.#model.parameters) {
      moments.set(name, { m: readFloats(this.#device, m), v: readFloats(this.#device, v) });
    }
    return { step: this.#optimizer.stepCount, moments };
  }

  writeOptimizer({ step, moments }: OptimizerState): void {
    for (const { name, m, v } of this.#model.parameters) {
      const values = moments.get(name);
      if (values === undefined) throw new RangeError(`the state holds no moments of ${name}`);
      writeTensor(this.#device, m, values.m);
      writeTensor(this.#device, v, values.v);
    }
    this.#optimizer.stepCount = step;
  }

  [Symbol.dispose](): void {
    this.#graphs[Symbol.dispose]();
    this.#resources.dispose();
  }

  get #device(): Device {
    this.#assertOpen();
    return this.#openDevice;
  }

  /** Native memory is gone after disposal: reading it would end the process, so throw before. */
  #assertOpen(): void {
    if (this.#resources.disposed) throw new Error("the trainable was disposed already");
  }

  /** Draws what this pass drops. A checkpoint restores the optimiser's steps, so a resumed run draws the same. */
  #drop({ inputs: { dropout } }: ModelGraph): void {
    if (dropout === undefined || this.lora === null) return;
    const { stepCount } = this.#optimizer;
    const random = SeededRandom.from(DROPOUT, this.lora.seed, stepCount, this.#passes);
    const factors = drawDropout(dropout.ne[0], this.lora.dropout ?? 0, random);
    writeTensor(this.#device, dropout, factors);
  }

  /** The forward pass, and a second, slower one in the rare case that softmax cannot hold a probability. */
  async #score(
    kind: GraphKind,
    batch: readonly Sequence[],
    packed: PackedBatch,
    signal: AbortSignal | undefined,
  ): Promise<{ model: ModelGraph; logps: Float32Array[] }> {
    const model = this.#graph(packed, { ...kind, exactTails: false });
    const logps = await this.#forward(model, batch, packed, signal);
    if (logps.every((list) => list.every((logp) => !(logp < LEAST_LOGP)))) return { model, logps };
    const exact = this.#graph(packed, { ...kind, exactTails: true });
    return { model: exact, logps: await this.#forward(exact, batch, packed, signal) };
  }

  async #forward(
    model: ModelGraph,
    batch: readonly Sequence[],
    packed: PackedBatch,
    signal: AbortSignal | undefined,
  ): Promise<Float32Array[]> {
    if (this.#isStale) this.#optimizer.refresh();
    this.#isStale = false;
    this.#drop(model);
    fillBatch(this.#device, model.inputs, packed);
    await model.graph.runAside(FORWARD, signal);
    return unpackScored(batch, readFloats(this.#device, model.inputs.logps));
  }

  /** The graph of that shape: kept, or built now. */
  #graph(packed: PackedBatch, kind: GraphKind & { readonly exactTails: boolean }): ModelGraph {
    const key = JSON.stringify([packed.shape, kind]);
    const kept = this.#graphs.take(key);
    if (kept?.graph.isPlacedIn(this.#space)) return kept;
    const built = buildFittingGraph(
      {
        device: this.#device,
        weights: this.#model.weights,
        batch: packed.shape,
        workType: workTypeOn(this.#device, this.#options.precision),
        ...kind,
      },
      this.#options.activationBytes ?? ACTIVATION_BYTES,
    );
    this.#graphs.keep(key, built);
    built.graph.place(this.#space);
    return built;
  }

  /** Parts that fit a batch each, in the given order. */
  #split(batch: readonly Sequence[]): Sequence[][] {
    const parts: Sequence[][] = [];
    for (const sequence of batch) {
      const last = parts.at(-1);
      if (last !== undefined && this.#fits([...last, sequence])) last.push(sequence);
      else parts.push([sequence]);
    }
    for (const part of parts) this.#checkFits(part);
    return parts;
  }

  #fits(batch: readonly Sequence[]): boolean {
    const lengths = batch.map(({ tokens }) => tokens.length);
    return paddedTokens(lengths) <= this.#options.maxTokensPerBatch;
  }

  #checkFits(batch: readonly Sequence[]): void {
    if (this.#fits(batch)) return;
    const padded = paddedTokens(batch.map(({ tokens }) => tokens.length));
    throw new RangeError(
      `expected at most ${this.#options.maxTokensPerBatch} padded tokens in a batch, got ${padded}`,
    );
  }

  #parameter(name: string): Parameter {
    const found = this.#parameters.get(name);
    if (found === undefined) throw new RangeError(`there is no trained parameter ${name}`);
    return found;
  }
}

function checkOptions({ lora, maxTokensPerBatch }: ComputeOptions): void {
  if (!(maxTokensPerBatch >= 1)) {
    throw new RangeError(`expected maxTokensPerBatch from 1, got ${maxTokensPerBatch}`);
  }
  if (lora === null) return;
  if (!Number.isInteger(lora.rank) || lora.rank < 1 || lora.targets.length === 0) {
    throw new RangeError(`expected a rank from 1 and at least one target, got rank ${lora.rank}`);
  }
  const { dropout = 0 } = lora;
  if (!(dropout >= 0 && dropout < 1)) {
    throw new RangeError(`expected a dropout in [0, 1), got ${dropout}`);
  }
}

function checkLayers(lora: LoraOptions | null, { nLayer }: LlamaShape): void {
  const stray = lora?.layers?.find(
    (layer) => !(Number.isInteger(layer) && layer >= 0 && layer < nLayer),
  );
  if (stray === undefined && lora?.layers?.length !== 0) return;
  throw new RangeError(
    `expected layers from 0 to ${nLayer - 1}, got [${lora?.layers?.join(", ")}]`,
  );
}
