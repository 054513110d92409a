import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openRegistry } from "#engine/adapters/registry.ts";
import { hashFile } from "#engine/base/file-hash.ts";
import { openLora } from "#trainer/gguf/read-lora.ts";
import { readMetrics } from "#trainer/run/metrics.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomAdapter } from "../../model/random-adapter.ts";
import { train } from "./running-trainer.ts";
import { smallWorld, taste } from "./small-world.ts";

test("the gate judges an imported adapter as one of its own, and publishes it under the run's name", async () => {
  const world = smallWorld(taste(40));
  const made = await train(world, "--no-activate");
  const registry = openRegistry(world.dataDir);
  const { path, manifest } = await registry.verify(String(made.result["adapter"]));
  const gate = { passed: false, report: { imported: true } };
  await registry.publish({
    name: "imported",
    adapterPath: path,
    manifest: { ...manifest, gate },
  });
  const { code, result } = await train(world, "--judge", "imported");
  expect(result).toMatchObject({ status: "published", activated: "pointer" });
  expect(code).toBe(0);
  const judged = await registry.verify(String(result["adapter"]));
  expect(judged.manifest.sha256).toBe(manifest.sha256);
  expect(judged.manifest.hyperparameters).toMatchObject({
    judgedAs: "imported",
    lora: { rank: 16 },
  });
  expect(existsSync(join(String(result["folder"]), "metrics.jsonl"))).toBe(false);
  const unknown = await train(world, "--judge", "nobody");
  expect(unknown.result).toMatchObject({ event: "error", code: "adapter_unknown" });
}, 240_000);

test("blocks that the model does not have are refused by the setting's name, before anything is computed", async () => {
  const world = smallWorld(taste(30));
  const settings = { ...world.settings, TRAIN_LORA_LAYERS: "1-2" };
  const { result } = await train({ ...world, settings }, "--plan");
  expect(result).toMatchObject({ event: "error", code: "config_invalid" });
  expect(result["message"]).toContain("names block 2; the model has blocks 0 to 1");
}, 120_000);

test("a model behind a symbolic link is trained like the file, as it is served", async () => {
  const world = smallWorld(taste(30));
  const link = join(world.dataDir, "link.gguf");
  symlinkSync(world.modelPath, link);
  const settings = { ...world.settings, MODEL: link };
  const { code, result } = await train({ ...world, settings }, "--plan");
  expect(result).toMatchObject({ event: "result" });
  expect(code).toBe(0);
}, 120_000);

test("a training goes on from an imported adapter, with that as its reference, and from no other", async () => {
  const world = smallWorld(taste(30));
  const registry = openRegistry(world.dataDir);
  const adapterPath = join(world.dataDir, "theirs.gguf");
  writeRandomAdapter(adapterPath, { libraries: cpuLibraries(), shape: world.shape, seed: 3 });
  const publish = async (name: string, pairs: number) => {
    const baseSha256 = await hashFile(world.modelPath);
    const data = { pairs, manifestSha256: "0".repeat(64), fromMs: 0, toMs: 0 };
    const manifest = { baseSha256, parent: null, data, hyperparameters: {} };
    const gate = { passed: false, report: {} };
    await registry.publish({ name, adapterPath, manifest: { ...manifest, gate } });
  };
  await publish("theirs", 0);
  await publish("learned-here", 7);
  const refused = await train(world, "--from", "learned-here");
  expect(refused.result).toMatchObject({ event: "error", code: "adapter_incompatible" });

  const { result } = await train(world, "--from", "theirs");
  expect(["published", "refused"]).toContain(result["status"]);
  const [first] = readMetrics(join(String(result["folder"]), "metrics.jsonl"));
  // Against the bare model this adapter would have margins of its own.
  expect(first?.["loss"]).toBeCloseTo(Math.LN2, 5);
  expect(first?.["rewards/margins"]).toBeCloseTo(0, 5);
  using trained = openLora(join(String(result["folder"]), "adapter.gguf"), cpuLibraries());
  using start = openLora(adapterPath, cpuLibraries());
  expect([...trained.pairs.keys()].sort()).toEqual([...start.pairs.keys()].sort());
  const name = "blk.0.attn_q.weight";
  const [before, after] = [start, trained].map(({ pairs }) => pairs.get(name)?.readA());
  const moved = before?.map((value, i) => Math.abs(value - (after?.[i] ?? Number.NaN)));
  const farthest = Math.max(...(moved ?? []));
  expect(farthest).toBeGreaterThan(0);
  expect(farthest).toBeLessThan(0.1);
}, 240_000);
