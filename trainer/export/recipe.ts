/**
 * A recipe in the alignment handbook's manner (recipes/zephyr-7b-beta/dpo/config_qlora.yaml), with the same
 * settings as a training here, in the names that TRL's command line reads. Pure.
 */
import type { Hyperparameters } from "../nightly/hyperparameters.ts";
import { DPO_DEFAULTS, type DpoOptions } from "../run/dpo.ts";

/** What a recipe is written from. */
export type RecipeSource = {
  readonly settings: Hyperparameters;
  /** A Hugging Face id or path of the same weights; null leaves a line to fill in. */
  readonly baseModel: string | null;
  /** For people: what the base is called here. */
  readonly baseName: string;
  /** Where the rows lie. */
  readonly folder: string;
  readonly splits: { readonly train: string; readonly test: string };
};

type Value = string | number | boolean | readonly (string | number)[] | { use_reentrant: boolean };
type Section = {
  readonly heading: string;
  readonly values: Readonly<Record<string, Value | undefined>>;
};

const PROJECTIONS: Readonly<Record<string, string>> = {
  q: "q_proj",
  k: "k_proj",
  v: "v_proj",
  o: "o_proj",
  gate: "gate_proj",
  up: "up_proj",
  down: "down_proj",
};
/** Examples of an optimiser step that stand on a device at once. */
const DEVICE_BATCH = 4;

/** The YAML text. */
export function formatRecipe(source: RecipeSource): string {
  const { settings, baseName } = source;
  const options = { ...DPO_DEFAULTS, ...settings.dpo };
  const { command, note } = trainerOf(settings.loss);
  const head = [
    `# Trains ${baseName} on the rows beside this file with TRL; where they moved, change dataset_name:`,
    `#   ${command} --config recipe.yaml`,
    "# In the manner of the alignment handbook's recipes. TRL knows no weights of pairs: there, all count alike.",
    ...(note === undefined ? [] : [`# ${note}`]),
  ];
  const sections = [modelSection(source), loraSection(settings), dataSection(source)];
  const body = [...sections, trainingSection(settings, options)].map(formatSection);
  return `${[head.join("\n"), ...body].join("\n\n")}\n`;
}

type LossName = Hyperparameters["loss"];

function trainerOf(loss: LossName): { command: string; note?: string } {
  if (loss === "kto") return { command: "trl kto" };
  if (loss === "orpo" || loss === "simpo") {
    const config = loss === "orpo" ? "ORPOConfig" : "CPOConfig";
    return {
      command: `python -m your_${loss}_script`,
      note: `TRL keeps ${loss} in trl.experimental: give these values to its ${config}.`,
    };
  }
  if (loss !== "cdpo") return { command: "trl dpo" };
  return {
    command: "trl dpo",
    note: "TRL's sigmoid loss reads no label_smoothing; here it was 0.1 (conservative DPO).",
  };
}

function modelSection({ baseModel }: RecipeSource): Section {
  const fillIn = "FILL-IN/the-Hugging-Face-weights-of-the-same-model";
  return {
    heading: "Model arguments",
    values: { model_name_or_path: baseModel ?? fillIn, dtype: "bfloat16" },
  };
}

function loraSection({ lora }: Hyperparameters): Section {
  return {
    heading: "LoRA arguments",
    values: {
      use_peft: true,
      lora_r: lora.rank,
      lora_alpha: lora.alpha,
      lora_dropout: lora.dropout ?? 0,
      use_rslora: lora.scaling === "rslora",
      lora_target_modules: lora.targets.flatMap((target) => PROJECTIONS[target] ?? []),
    },
  };
}

function dataSection({ folder, splits }: RecipeSource): Section {
  return {
    heading: "Data training arguments",
    values: {
      dataset_name: folder,
      dataset_train_split: splits.train,
      dataset_test_split: splits.test,
    },
  };
}

function trainingSection({ loss }: Hyperparameters, options: DpoOptions): Section {
  const perDevice = Math.min(DEVICE_BATCH, options.batchSize);
  return {
    heading: loss === "kto" ? "KTOTrainer arguments" : "DPOTrainer arguments",
    values: {
      bf16: true,
      ...lossValues(loss, options),
      do_eval: true,
      eval_strategy: "steps",
      eval_steps: 100,
      gradient_accumulation_steps: Math.ceil(options.batchSize / perDevice),
      gradient_checkpointing: true,
      gradient_checkpointing_kwargs: { use_reentrant: false },
      learning_rate: options.learningRate,
      logging_steps: 10,
      lr_scheduler_type: options.decay,
      max_grad_norm: options.maxGradientNorm,
      max_length: options.maxTokens,
      num_train_epochs: options.epochs,
      optim: "adamw_torch",
      output_dir: "out",
      per_device_train_batch_size: perDevice,
      per_device_eval_batch_size: 2 * perDevice,
      save_strategy: "steps",
      save_steps: 100,
      save_total_limit: 1,
      seed: options.seed,
      // A share below 1 (transformers reads it as one).
      warmup_steps: options.warmupRatio,
    },
  };
}

function lossValues(loss: LossName, options: DpoOptions): Section["values"] {
  const { beta } = options;
  switch (loss) {
    case "kto":
      // The reference point's samples follow the order of the rows.
      return { beta, train_sampling_strategy: "sequential" };
    case "orpo":
      return { beta };
    case "simpo":
      return { loss_type: "simpo", beta, simpo_gamma: options.simpoGamma, cpo_alpha: 0 };
    case "rpo":
      return { loss_type: ["sigmoid", "sft"], loss_weights: [1, options.rpoAlpha], beta };
    case "robust":
      return { loss_type: "robust", label_smoothing: options.labelSmoothing, beta };
    case "ld":
      return { loss_type: "sigmoid", ld_alpha: options.ldAlpha, beta };
    case "cdpo":
    case "sigmoid":
      return { loss_type: "sigmoid", beta };
    case "hinge":
    case "ipo":
    case "sigmoid_norm":
      return { loss_type: loss, beta };
  }
}

function formatSection({ heading, values }: Section): string {
  const lines = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [formatValue(name, value)],
  );
  return [`# ${heading}`, ...lines].join("\n");
}

/** JSON's scalars are YAML's, too. */
function formatValue(name: string, value: Value): string {
  if (typeof value === "string") return `${name}: ${isBare(value) ? value : JSON.stringify(value)}`;
  if (typeof value === "number") return `${name}: ${formatNumber(value)}`;
  if (typeof value === "boolean") return `${name}: ${value}`;
  if (!isList(value)) return `${name}:\n  use_reentrant: ${value.use_reentrant}`;
  return `${name}:\n${value.map((one) => `- ${one}`).join("\n")}`;
}

/** YAML 1.1 takes `5e-6` for a text: it wants a point in front of the exponent. */
function formatNumber(value: number): string {
  const text = String(value);
  return text.includes("e") && !text.includes(".") ? text.replace("e", ".0e") : text;
}

function isBare(text: string): boolean {
  return /^[A-Za-z/][\w./-]*$/.test(text);
}

function isList(value: Value): value is readonly (string | number)[] {
  return Array.isArray(value);
}
