import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isCoded } from "#engine/base/errors.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { loadLora, readLoraOptions } from "#trainer/gate/load-adapter.ts";
import { writeLoraGguf } from "#trainer/gguf/lora.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import type { LoraOptions } from "#trainer/model/trainable.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";

const libraries = cpuLibraries();
const folder = mkdtempSync(join(tmpdir(), "load-adapter-"));
const ggufPath = join(folder, "model.gguf");
writeRandomModel(ggufPath, { libraries });

function open(lora: LoraOptions) {
  return openTrainable({
    ggufPath,
    lora,
    precision: "f32",
    threads: 1,
    maxTokensPerBatch: 64,
    libraries,
  });
}

test("an adapter's file, read back, gives the log-probabilities that it was written with", async () => {
  const lora: LoraOptions = { rank: 3, alpha: 5, targets: ["q", "o", "down"], seed: 1 };
  const path = join(folder, "adapter.gguf");
  const sequence = {
    tokens: Int32Array.from([1, 40, 41, 42, 43]),
    scored: Uint8Array.from([0, 1, 1, 1, 1]),
  };
  using written = open(lora);
  for (const { name, ne } of written.parameters()) {
    const random = SeededRandom.from(7, name.length);
    const count = ne.reduce((product, size) => product * size, 1);
    written.writeParameter(
      name,
      Float32Array.from({ length: count }, () => 0.3 * random.gaussian()),
    );
  }
  writeLoraGguf(path, { libraries, trainable: written, alpha: 5, baseArchitecture: "llama" });

  const options = readLoraOptions(path, libraries);
  expect(options).toMatchObject({ rank: 3, alpha: 5 });
  expect([...options.targets].sort()).toEqual(["down", "o", "q"]);
  using read = open(options);
  expect(await read.logps([sequence])).not.toEqual(await written.logps([sequence]));
  loadLora(read, path, libraries);
  expect(await read.logps([sequence])).toEqual(await written.logps([sequence]));
});

test("a file that is no adapter for this trainer is refused", () => {
  for (const work of [
    () => readLoraOptions(ggufPath, libraries),
    () => {
      using model = open({ rank: 2, alpha: 2, targets: ["v"], seed: 1 });
      loadLora(model, join(folder, "adapter.gguf"), libraries);
    },
  ]) {
    try {
      work();
      expect.unreachable();
    } catch (error) {
      expect(isCoded(error, "adapter_incompatible") || isCoded(error, "model_invalid")).toBe(true);
    }
  }
});
