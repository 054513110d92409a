import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openRegistry } from "#engine/adapters/registry.ts";
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
