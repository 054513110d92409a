import { expect, test } from "vitest";
import { parseConfig } from "#engine/base/config.ts";
import { assertPairLossOptions } from "#trainer/losses/preference.ts";
import { chooseHyperparameters } from "#trainer/nightly/hyperparameters.ts";
import { DPO_DEFAULTS } from "#trainer/run/dpo.ts";

const ZEPHYR = { parameters: 7.24e9, examples: 60_000, contextTokens: 32_768 };
const plain = parseConfig({});

test("much data at 7 G parameters gets Zephyr's settings; a small model or a short night learns faster", () => {
  const zephyr = chooseHyperparameters(ZEPHYR, plain);
  expect(zephyr.loss).toBe("sigmoid");
  expect(zephyr.dpo).toMatchObject({ learningRate: 5e-6, beta: 0.1, epochs: 3, maxTokens: 1024 });
  expect(zephyr.precision).toBe("bf16");
  const night = chooseHyperparameters({ ...ZEPHYR, examples: 256 }, plain);
  expect(night.dpo.learningRate).toBeCloseTo(5e-6 * Math.sqrt(61_135 / 16 / 48), 9);
  const sizes = { parameters: 5e6, examples: 64, contextTokens: 512 };
  const nano = chooseHyperparameters(sizes, plain);
  expect(nano.dpo.learningRate).toBeGreaterThan(1e-4);
  expect(nano.dpo.learningRate).toBeLessThanOrEqual(5e-4);
  expect(nano.dpo).toMatchObject({ epochs: 10, maxTokens: 512, maxPromptTokens: 256 });
  expect(nano.precision).toBe("f32");
  expect(nano.lora).toMatchObject({ rank: 16, alpha: 16, dropout: 0, scaling: "lora" });
  expect(nano.lora.targets).toHaveLength(7);
  expect(nano.lora.layers).toBeUndefined();
});

test.each([
  ["sigmoid", { beta: 0.1 }],
  ["cdpo", { beta: 0.1, labelSmoothing: 0.1 }],
  ["robust", { loss: "robust", labelSmoothing: 0.1 }],
  ["hinge", { loss: "hinge" }],
  ["ipo", { loss: "ipo", beta: 0.1 }],
  ["sigmoid_norm", { loss: "sigmoid_norm", beta: 5 }],
  ["ld", { ldAlpha: 0.5 }],
  ["rpo", { rpoAlpha: 1 }],
  ["orpo", { loss: "orpo", beta: 0.1 }],
  ["simpo", { loss: "simpo", beta: 2, simpoGamma: 1 }],
  ["kto", { beta: 0.1 }],
])(
  "TRAIN_LOSS=%s stands for %j, which the losses accept; TRAIN_BETA overrides",
  (name, expected) => {
    const { loss, dpo } = chooseHyperparameters(ZEPHYR, parseConfig({ TRAIN_LOSS: name }));
    expect(loss).toBe(name);
    expect(dpo).toMatchObject(expected);
    assertPairLossOptions({ ...DPO_DEFAULTS, ...dpo });
    const chosen = chooseHyperparameters(
      ZEPHYR,
      parseConfig({ TRAIN_LOSS: name, TRAIN_BETA: "0.3" }),
    );
    expect(chosen.dpo.beta).toBe(0.3);
  },
);

test("the adapter is what the settings say", () => {
  const config = parseConfig({
    TRAIN_LORA_RANK: "64",
    TRAIN_LORA_ALPHA: "32",
    TRAIN_LORA_SCALING: "rslora",
    TRAIN_LORA_DROPOUT: "0.05",
    TRAIN_LORA_TARGETS: "q,v",
    TRAIN_LORA_LAYERS: "0-1",
  });
  expect(chooseHyperparameters(ZEPHYR, config).lora).toMatchObject({
    rank: 64,
    alpha: 32,
    scaling: "rslora",
    dropout: 0.05,
    targets: ["q", "v"],
    layers: [0, 1],
  });
});
