/**
 * Before training: what it will hold in memory, what there is, and how to train so that it fits. The first way
 * that fits is taken; where none does, the plan says what to do.
 */
import { GgufFile } from "#engine/native/gguf.ts";
import { type MemoryPlan, planMemory } from "../model/memory-plan.ts";
import { readLlamaShape } from "../model/read-shape.ts";
import type { TrainableOptions } from "../model/trainable.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import { type Surroundings, threadsOf } from "./surroundings.ts";

/** A way to train that takes more or less memory. */
type MemoryOptions = Pick<TrainableOptions, "activationBytes" | "keepsTransposes">;

/** The way that was chosen, or the leanest where none fits. */
export type MemoryChoice = {
  readonly fits: boolean;
  readonly options: MemoryOptions;
  readonly plan: MemoryPlan;
  /** Bytes that training may take; undefined where the device does not tell. */
  readonly availableBytes: number | undefined;
  /** For people: what takes how much, and what to do where it does not fit. */
  readonly message: string;
};

/** The fastest first: all kept; blocks computed twice; frozen matrices turned around in each pass. */
const WAYS: readonly MemoryOptions[] = [
  {},
  { activationBytes: 0 },
  { keepsTransposes: false, activationBytes: 0 },
];
/** On a GPU what is turned around costs little, and transposes take four times what a 4-bit model does. */
const GPU_WAYS: readonly MemoryOptions[] = [
  { keepsTransposes: true },
  { keepsTransposes: false },
  { keepsTransposes: false, activationBytes: 0 },
];

/** Chooses for a run; nothing is loaded. @throws CodedError as `planMemory` */
export function chooseMemory(
  at: Pick<Surroundings, "config" | "libraries" | "model">,
  settings: Pick<Hyperparameters, "lora" | "precision" | "dpo">,
): MemoryChoice {
  using source = GgufFile.open(at.model.path, at.libraries);
  const request = {
    source,
    shape: readLlamaShape(source),
    lora: settings.lora,
    precision: settings.precision,
    threads: threadsOf(at.config),
    libraries: at.libraries,
    maxTokensPerBatch: settings.dpo.maxTokensPerBatch,
    maxTokens: settings.dpo.maxTokens,
  };
  const first = planMemory(request);
  const limit = at.config.TRAIN_MEMORY_MIB;
  const availableBytes = limit === undefined ? first.availableBytes : limit * 2 ** 20;
  const ways = first.isCpu ? WAYS : GPU_WAYS;
  const plans = ways.map((options) => ({ options, plan: planMemory({ ...request, ...options }) }));
  const found = plans.find(({ plan }) => plan.total <= (availableBytes ?? Infinity));
  const { options, plan } = found ?? plans.at(-1) ?? { options: {}, plan: first };
  const fits = found !== undefined;
  const verdict = fits ? describeFit(plan) : advise(plan, availableBytes ?? 0);
  const message = `${describePlan(plan, availableBytes)}\n${verdict}`;
  return { fits, options, plan, availableBytes, message };
}

const PARTS = [
  ["base", "base"],
  ["adapters", "adapters"],
  ["optimizer", "optimiser"],
  ["activations", "activations"],
  ["logits", "logits"],
  ["scratch", "scratch"],
  ["process", "process"],
  ["total", "total"],
] as const satisfies readonly (readonly [keyof MemoryPlan, string])[];

function describePlan(plan: MemoryPlan, availableBytes: number | undefined): string {
  const rows = PARTS.map(([part, name]) => `  ${name.padEnd(12)}${mebibytes(plan[part])}`);
  const there =
    availableBytes === undefined ? "" : `, available ${mebibytes(availableBytes).trim()}`;
  return [`Memory for training on ${plan.device}${there}:`, ...rows].join("\n");
}

function describeFit({ recomputes }: MemoryPlan): string {
  return recomputes
    ? "It fits, with the model's blocks computed twice to save memory."
    : "It fits, with all values kept.";
}

function advise({ total, isCpu }: MemoryPlan, availableBytes: number): string {
  const missing = mebibytes(total - availableBytes).trim();
  const where = isCpu
    ? "Free that much memory (the engine's model takes some while it runs), set TRAIN_MEMORY_MIB higher"
    : "Free that much of the GPU (stop the engine for the night), train on the CPU with GPU=cpu";
  return `It does not fit: ${missing} are missing, even with everything computed twice. ${where}, lower TRAIN_LORA_RANK, or choose a smaller MODEL.`;
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`.padStart(10);
}
