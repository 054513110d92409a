/** PEFT's adapter_config.json: what is read of it, what is refused and why, and what is written. */
import { readFileSync, statSync } from "node:fs";
import { z } from "zod";
import { CodedError, systemCode } from "#engine/base/errors.ts";

const LIMIT_BYTES = 2 ** 20;

/** Empty patterns, lists and null all say that something is not used. */
const unused = z.union([z.null(), z.array(z.unknown()).length(0), z.object({}).strict()]);

const configSchema = z.looseObject({
  peft_type: z.literal("LORA", "expected peft_type LORA"),
  r: z.number().int().min(1).max(65_536),
  lora_alpha: z
    .number()
    .positive("expected a lora_alpha above 0: llama.cpp takes 0 for no scaling"),
  use_rslora: z.boolean().nullish(),
  use_dora: z
    .literal(
      false,
      "DoRA rescales whole rows of the layer by their norm, which llama.cpp's adapters (W x + s B A x) cannot say; merge it into its model there",
    )
    .nullish(),
  bias: z.literal("none", "expected bias none: llama.cpp's adapters hold no biases").nullish(),
  fan_in_fan_out: z.literal(false, "expected fan_in_fan_out false").nullish(),
  modules_to_save: unused.optional(),
  alpha_pattern: unused.optional(),
  rank_pattern: z.record(z.string(), z.number()).nullish(),
  trainable_token_indices: unused.optional(),
});

/** What matters of a config for computing with its adapter. */
export type PeftConfig = {
  readonly rank: number;
  readonly alpha: number;
  readonly isRankStabilised: boolean;
};

/**
 * Reads and checks a config.
 * @throws CodedError `adapter_corrupt` when it is none, `adapter_incompatible` when llama.cpp could not serve
 *   such an adapter
 */
export function readPeftConfig(path: string): PeftConfig {
  const parsed = configSchema.safeParse(readJson(path));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new CodedError(
      `${path}: ${issue?.path.join(".")}: ${issue?.message}. Only plain LoRA adapters can be imported.`,
      { code: "adapter_incompatible" },
    );
  }
  const { r, lora_alpha, use_rslora } = parsed.data;
  return { rank: r, alpha: lora_alpha, isRankStabilised: use_rslora === true };
}

/** What a written config says. */
export type PeftConfigToWrite = {
  readonly rank: number;
  readonly alpha: number;
  readonly targetModules: readonly string[];
  /** A Hugging Face id or a path; null leaves it to whoever loads the adapter. */
  readonly baseModel: string | null;
};

/** The JSON text of a plain LoRA config, with every field that PEFT's LoraConfig needs told. */
export function formatPeftConfig(config: PeftConfigToWrite): string {
  const fields = {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: config.baseModel,
    r: config.rank,
    lora_alpha: config.alpha,
    target_modules: config.targetModules,
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: false,
    use_rslora: false,
    use_dora: false,
    modules_to_save: null,
    inference_mode: true,
  };
  return `${JSON.stringify(fields, null, 2)}\n`;
}

function readJson(path: string): unknown {
  try {
    const { size } = statSync(path);
    if (size > LIMIT_BYTES) throw new RangeError(`it has ${size} bytes`);
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new CodedError(
        `There is no file ${path}. Give the folder that PEFT's save_pretrained wrote.`,
        { code: "adapter_corrupt", cause: error },
      );
    }
    const why = code ?? (error instanceof Error ? error.message : String(error));
    throw new CodedError(
      `${path} could not be read as JSON (${why}). Give the folder that PEFT's save_pretrained wrote.`,
      { code: "adapter_corrupt", cause: error },
    );
  }
}
