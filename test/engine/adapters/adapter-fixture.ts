/** Small adapter files for tests of the registry: it treats their content as bytes. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AdapterRegistry, Publication } from "#engine/adapters/registry.ts";

/** The base model's hash that fixtures are made for, unless told otherwise. */
export const BASE_SHA256 = "5c".repeat(32);

/** A fresh folder for one test. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "zephyr-test-"));
}

/** Everything that the trainer would hand over. */
export function publication(
  name: string,
  options: { passed?: boolean; baseSha256?: string; content?: string | Uint8Array } = {},
): Publication {
  const adapterPath = join(temporaryFolder(), "trained.gguf");
  writeFileSync(adapterPath, options.content ?? `weights of ${name}`);
  return {
    name,
    adapterPath,
    manifest: {
      baseSha256: options.baseSha256 ?? BASE_SHA256,
      parent: null,
      data: { pairs: 30, manifestSha256: "ab".repeat(32), fromMs: 0, toMs: 1 },
      hyperparameters: { beta: 0.1 },
      gate: { passed: options.passed ?? true, report: { preferenceAccuracy: 0.8 } },
    },
  };
}

/** Publishes several adapters. */
export async function publishAll(registry: AdapterRegistry, names: readonly string[]) {
  for (const name of names) await registry.publish(publication(name));
}
