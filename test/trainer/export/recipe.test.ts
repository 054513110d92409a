import { describe, expect, test } from "vitest";
import { parseConfig } from "#engine/base/config.ts";
import { formatRecipe } from "#trainer/export/recipe.ts";
import { chooseHyperparameters } from "#trainer/nightly/hyperparameters.ts";

const SIZES = { parameters: 7.24e9, examples: 60_000, contextTokens: 32_768 };

function recipe(settings: Record<string, string> = {}, baseModel: string | null = "a/zephyr") {
  return formatRecipe({
    settings: chooseHyperparameters(SIZES, parseConfig(settings)),
    baseModel,
    baseName: "zephyr",
    folder: "/data/of us",
    splits: { train: "train", test: "test" },
  });
}

test("the recipe has the training's own settings, in TRL's names and YAML's numbers", () => {
  const text = recipe({
    TRAIN_LORA_RANK: "64",
    TRAIN_LORA_TARGETS: "q,down",
    TRAIN_LORA_DROPOUT: "0.05",
  });
  for (const line of [
    "model_name_or_path: a/zephyr",
    "lora_r: 64",
    "lora_alpha: 16",
    "lora_dropout: 0.05",
    "lora_target_modules:\n- q_proj\n- down_proj",
    'dataset_name: "/data/of us"',
    "dataset_train_split: train",
    "loss_type: sigmoid",
    "beta: 0.1",
    "learning_rate: 0.000005",
    "lr_scheduler_type: cosine",
    "num_train_epochs: 3",
    "gradient_accumulation_steps: 4",
    "gradient_checkpointing_kwargs:\n  use_reentrant: false",
  ]) {
    expect(text).toContain(`${line}\n`);
  }
});

test("a number that JavaScript writes with an exponent stays a number in YAML 1.1", () => {
  expect(recipe({ TRAIN_BETA: "1e-7" })).toContain("beta: 1.0e-7\n");
});

describe("each loss is named as TRL names it", () => {
  test.each([
    ["robust", /loss_type: robust\nlabel_smoothing: 0\.1\n/],
    ["ld", /loss_type: sigmoid\nld_alpha: 0\.5\n/],
    ["rpo", /loss_type:\n- sigmoid\n- sft\nloss_weights:\n- 1\n- 1\n/],
    ["sigmoid_norm", /loss_type: sigmoid_norm\nbeta: 5\n/],
    ["simpo", /CPOConfig[\s\S]*loss_type: simpo\nbeta: 2\nsimpo_gamma: 1\ncpo_alpha: 0\n/],
    ["orpo", /ORPOConfig/],
    ["kto", /trl kto --config[\s\S]*train_sampling_strategy: sequential\n/],
    ["cdpo", /reads no label_smoothing/],
  ])("%s", (loss, expected) => {
    expect(recipe({ TRAIN_LOSS: loss })).toMatch(expected);
  });
});

test("without a Hugging Face id there is a line to fill in", () => {
  expect(recipe({}, null)).toContain("model_name_or_path: FILL-IN/");
});
