/** The small model and an adapter for it, which every backend of the contract serves. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FULL_PLAN } from "#trainer/nano/plan.ts";
import { cpuLibraries } from "../model/libraries.ts";
import { writeRandomAdapter } from "../model/random-adapter.ts";

const NANO = join(import.meta.dirname, "../../deploy/models/nano/nano.gguf");

/** Its files, which are gone when it is disposed. */
export type ContractModel = Disposable & {
  readonly path: string;
  readonly adapterPath: string;
  readonly sha256: string;
};

/** Writes the adapter. */
export function contractModel(): ContractModel {
  const folder = mkdtempSync(join(tmpdir(), "contract-"));
  const adapterPath = join(folder, "night.gguf");
  const libraries = cpuLibraries();
  const shape = { ...FULL_PLAN.shape, nVocab: FULL_PLAN.vocabularySize };
  writeRandomAdapter(adapterPath, { libraries, shape, seed: 2 });
  return {
    path: NANO,
    adapterPath,
    sha256: createHash("sha256").update(readFileSync(NANO)).digest("hex"),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
