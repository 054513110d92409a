/**
 * What a training step will hold in memory, from the allocator's own sizes: weights, graph and optimiser are laid
 * out on a dry device, which gives addresses without memory. No weight is read, so sizes of a model are enough.
 */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import { Device } from "../ggml/device.ts";
import { WorkSpace } from "../ggml/graph.ts";
import { type LlamaShape, llamaTensors } from "../gguf/llama-shape.ts";
import { AdamW } from "../optimizer/adamw.ts";
import { fullBatch } from "./batch.ts";
import type { WeightSource } from "./fill-weights.ts";
import { logitBytes } from "./head.ts";
import { keptInputBytes } from "./kept-graphs.ts";
import { loadWeights } from "./load-weights.ts";
import { buildFittingGraph } from "./model-graph.ts";
import type { BatchShape } from "./pass.ts";
import { ACTIVATION_BYTES, type TrainableOptions } from "./trainable.ts";
import { workTypeOn } from "./work-type.ts";

/** What to plan for. */
export type PlanRequest = Omit<TrainableOptions, "ggufPath"> & {
  readonly source: WeightSource;
  readonly shape: LlamaShape;
  /** For a GPU, whether there is one or not. */
  readonly forGpu?: boolean;
  /** The longest sequence; as many as `maxTokensPerBatch` allows are planned for. */
  readonly maxTokens: number;
  /** Of each sequence's tokens so many are scored; all by default. */
  readonly scoredTokens?: number;
  /** The batch to plan for, where it is known; by default the largest that the bounds allow, with nothing shared. */
  readonly batch?: BatchShape;
};

/** Bytes, by what holds them. */
export type MemoryPlan = {
  /** ggml's name of the device that all but `process` is on. */
  readonly device: string;
  readonly isCpu: boolean;
  /** What is free there now, on the CPU with what this process holds; undefined where the device does not tell. */
  readonly availableBytes: number | undefined;
  /** Frozen weights, and their transposes where those are kept. */
  readonly base: number;
  /** What is trained, with its working copies and gradients. */
  readonly adapters: number;
  /** AdamW's two moments. */
  readonly optimizer: number;
  /** Values between layers that backward needs, and those of one layer. */
  readonly activations: number;
  /** Logits that are held at once. */
  readonly logits: number;
  /** Inputs of the graphs that are kept, and what operators take for themselves. */
  readonly scratch: number;
  /** On the CPU the process itself with Node.js; on a GPU an estimate of what its driver takes there. */
  readonly process: number;
  readonly total: number;
  /** Whether blocks are computed twice to save memory. */
  readonly recomputes: boolean;
};

/** CUDA's context, kernels and cuBLAS workspaces take about this; not measured here. */
const GPU_PROCESS_BYTES = 600 * 2 ** 20;
/** Graphs' descriptions, threads and V8's heap grow a process by about this while it trains: 11 to 17 MB measured. */
const GROWTH_BYTES = 12 * 2 ** 20;

/** Lays a step out and adds up. @throws CodedError as `openTrainable`, but for a lack of memory */
export function planMemory(request: PlanRequest): MemoryPlan {
  using device = Device.open({ ...request, dry: request.forGpu === true ? "gpu" : "itself" });
  using stack = new DisposableStack();
  const workType = workTypeOn(device, request.precision);
  const keepsTransposes = request.keepsTransposes ?? device.isCpu;
  const model = loadWeights({ ...request, device, workType, keepsTransposes });
  for (const storage of Object.values(model.storages)) stack.use(storage);
  const optimizer = stack.use(new AdamW(device, model.parameters));
  const space = stack.use(new WorkSpace(device));
  const { graph, recomputes } = buildFittingGraph(
    {
      device,
      weights: model.weights,
      batch: request.batch ?? fullBatch(request),
      workType,
      reference: false,
      backward: true,
      exactTails: false,
      dropout: (request.lora?.dropout ?? 0) > 0,
    },
    request.activationBytes ?? ACTIVATION_BYTES,
  );
  stack.use(graph);
  graph.place(space);
  const { base, trained, gradients, moments } = model.storages;
  const logits = Math.min(space.bytes, logitBytes(request.shape.nVocab, device.isCpu));
  const scratch = graph.operators.scratch.bytes(device.isCpu) + optimizer.bytes;
  const parts = {
    base: base.bytes,
    adapters: trained.bytes + gradients.bytes,
    optimizer: moments.bytes,
    activations: space.bytes - logits,
    logits,
    scratch: scratch + keptInputBytes(graph.inputBytes),
    process: device.isCpu ? process.memoryUsage.rss() + GROWTH_BYTES : GPU_PROCESS_BYTES,
  };
  const total = Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);
  const { name, isCpu } = device;
  return { device: name, isCpu, availableBytes: availableOn(device), ...parts, total, recomputes };
}

function availableOn({ isCpu, freeBytes }: Device): number | undefined {
  if (isCpu) return process.availableMemory() + process.memoryUsage.rss();
  return freeBytes === 0 ? undefined : freeBytes;
}

/** A source of sizes for models that are no file: `typeOf` gives each tensor's ggml type. */
export function sizesOf(
  shape: LlamaShape,
  libraries: NativeLibraries,
  typeOf: (name: string) => number,
): WeightSource {
  using device = Device.open({ libraries, threads: 1, dry: "itself" });
  const { ggml } = device;
  const tensors = llamaTensors(shape).map(({ name, ne }) => {
    const type = name.endsWith("norm.weight") ? GGML_TYPE.f32 : typeOf(name);
    const rows = ne.slice(1).reduce((product, count) => product * count, 1);
    const bytes = Number(ggml.ggml_row_size(type, ne[0] ?? 1)) * rows;
    return { name, ne, type, bytes, offset: 0 };
  });
  return {
    tensor: (wanted) => tensors.find(({ name }) => name === wanted),
    readTensorPart: () => {
      throw new Error("sizes alone hold no weights");
    },
  };
}
