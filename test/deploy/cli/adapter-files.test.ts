import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { openRegistry } from "#engine/adapters/registry.ts";
import { hashFile } from "#engine/base/file-hash.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { openLora } from "#trainer/gguf/read-lora.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomAdapter } from "../../model/random-adapter.ts";
import { libllamaLogps } from "../../trainer/model/libllama-logps.ts";
import { greatestDifference, randomSequences } from "../../trainer/model/sequences.ts";
import { smallWorld } from "../../trainer/nightly/small-world.ts";
import { runZephyr } from "../start/running-zephyr.ts";

const libraries = cpuLibraries();
const world = smallWorld([], false);
const adapterPath = join(world.dataDir, "made.gguf");
const zephyr = (...args: string[]) => runZephyr(world.settings, "adapters", ...args, "--json");

beforeAll(async () => {
  writeRandomAdapter(adapterPath, { libraries, shape: world.shape, seed: 3 });
  for (const [name, passed] of [
    ["good", true],
    ["bad", false],
  ] as const) {
    await openRegistry(world.dataDir).publish({
      name,
      adapterPath,
      manifest: {
        baseSha256: await hashFile(world.modelPath),
        parent: null,
        data: { pairs: 1, manifestSha256: "0".repeat(64), fromMs: 0, toMs: 0 },
        hyperparameters: {},
        gate: { passed, report: {} },
      },
    });
  }
});

test("an adapter exported for PEFT comes back by import, the same, and is not served unjudged", async () => {
  const folder = join(world.dataDir, "peft");
  const exported = await zephyr("export", "good", "--out", folder, "--base-model", "my/model");
  expect(exported.code).toBe(0);
  expect(JSON.parse(exported.stdout)).toEqual({ name: "good", folder, modules: 4, rank: 4 });
  const config = JSON.parse(readFileSync(join(folder, "adapter_config.json"), "utf8"));
  expect(config).toMatchObject({ base_model_name_or_path: "my/model", r: 4, lora_alpha: 8 });

  const imported = await zephyr("import", folder, "--name", "back");
  expect(imported.code).toBe(0);
  using before = openLora(adapterPath, libraries);
  using after = openLora(join(world.dataDir, "adapters", "back", "adapter.gguf"), libraries);
  for (const [name, pair] of before.pairs) {
    expect(after.pairs.get(name)?.readB()).toEqual(pair.readB());
  }
  const activated = await zephyr("activate", "back");
  expect(activated.code).toBe(3);
  expect(JSON.parse(activated.stdout).error.code).toBe("gate_refused");
  expect(JSON.parse(activated.stdout).error.message).toContain("zephyr adapters judge");
});

describe("merge", () => {
  test("gives a model on which libllama computes as on base and adapter", async () => {
    const out = join(world.dataDir, "merged.gguf");
    const { code, stdout } = await zephyr("merge", "good", "--out", out, "--type", "F32");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      file: out,
      type: "f32",
      merged: 4,
      roundingShare: 0,
    });
    const batch = randomSequences([30], world.shape.nVocab, SeededRandom.from(2));
    const merged = libllamaLogps(batch, { libraries, modelPath: out });
    const served = libllamaLogps(batch, { libraries, modelPath: world.modelPath, adapterPath });
    expect(greatestDifference(merged, served)).toBeLessThan(1e-4);
    using file = GgufFile.open(out, libraries);
    expect(file.string("tokenizer.chat_template")).toContain("<|assistant|>");
  });

  test("of an adapter that the gate refused needs --ungated", async () => {
    const out = join(world.dataDir, "refused.gguf");
    const { code } = await zephyr("merge", "bad", "--out", out);
    expect(code).toBe(3);
    expect(existsSync(out)).toBe(false);
    expect((await zephyr("merge", "bad", "--out", out, "--ungated")).code).toBe(0);
  });

  test("never writes over the base, nor in a type that there is not", async () => {
    const over = await zephyr("merge", "good", "--out", world.modelPath);
    expect(over.code).toBe(2);
    expect(JSON.parse(over.stdout).error.message).toMatch(/base model itself/);
    const out = join(world.dataDir, "x.gguf");
    const odd = await zephyr("merge", "good", "--out", out, "--type", "q1");
    expect(odd.code).toBe(2);
    expect(JSON.parse(odd.stdout).error.message).toMatch(/keep, f32, bf16.*got "q1"/);
  });
});

test("an adapter of another base, an unknown one, and a folder without one are refused, saying why", async () => {
  const other = smallWorld([]);
  const settings = { ...world.settings, MODEL: other.modelPath };
  const wrong = await runZephyr(
    settings,
    "adapters",
    "export",
    "good",
    "--out",
    "/tmp/never",
    "--json",
  );
  expect(JSON.parse(wrong.stdout).error.code).toBe("adapter_incompatible");
  const unknown = await zephyr("export", "none", "--out", "/tmp/never");
  expect(JSON.parse(unknown.stdout).error.code).toBe("adapter_unknown");
  const empty = await zephyr("import", world.dataDir, "--name", "empty");
  expect(JSON.parse(empty.stdout).error.message).toMatch(/adapter_config\.json/);
  expect((await zephyr("import", world.dataDir, "--name", "../up")).code).not.toBe(0);
});
