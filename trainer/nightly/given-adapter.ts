/**
 * Runs on an adapter that is there already: judged as it is, or trained further from where it stands. It knows
 * nothing of how either is done.
 */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { openRegistry, type VerifiedAdapter } from "#engine/adapters/registry.ts";
import { CodedError } from "#engine/base/errors.ts";
import { readLoraOptions } from "../gate/load-adapter.ts";
import { buildData, type RunData, storeData } from "./data-stage.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import { noteStage, type Run } from "./run-folder.ts";
import type { Surroundings } from "./surroundings.ts";
import { ADAPTER_FILE, START_FILE, settingsFor } from "./training-stage.ts";

/** Which adapter of the registry is given, and what for. */
export type GivenAdapter = {
  readonly use: "judge" | "start";
  readonly adapter: VerifiedAdapter;
};

/**
 * Finds the adapter that a run is asked to judge, or to start from.
 * @throws CodedError as the registry's `verify`; `adapter_incompatible` for a start that learned from the log
 */
export async function givenAdapter(
  at: Surroundings,
  { judge, startFrom }: { readonly judge?: string; readonly startFrom?: string },
): Promise<GivenAdapter | undefined> {
  const name = judge ?? startFrom;
  if (name === undefined) return undefined;
  const registry = openRegistry(at.config.DATA_DIR, at.clock);
  const adapter = await registry.verify(name, at.model.sha256);
  if (judge !== undefined) return { use: "judge", adapter };
  if (adapter.manifest.data.pairs === 0) return { use: "start", adapter };
  throw new CodedError(
    `Adapter ${name} learned from people's votes here. What one of them deletes could never be unlearnt from a successor, so training starts from the bare model, or from an adapter that was imported.`,
    { code: "adapter_incompatible" },
  );
}

/** Puts the adapter into a new run's folder, frozen there whatever becomes of the registry's. */
export async function beginWith(
  at: Surroundings,
  run: Run,
  { use, adapter }: GivenAdapter,
): Promise<Run> {
  const { name, path, manifest } = adapter;
  if (use === "start") {
    copyFileSync(path, join(run.folder, START_FILE));
    const startsFrom = { name, sha256: manifest.sha256 };
    return noteStage({ ...run, note: { ...run.note, startsFrom } }, "data");
  }
  storeData(run.folder, await buildData(at), at.keys);
  copyFileSync(path, join(run.folder, ADAPTER_FILE));
  return noteStage({ ...run, note: { ...run.note, judges: name } }, "gate");
}

/** A run's settings; of a given adapter, its own shape and scale. */
export function settingsOf(at: Surroundings, run: Run, data: RunData): Hyperparameters {
  const settings = settingsFor(at, data);
  const { judges, startsFrom } = run.note;
  const shapeOf = (file: string) => readLoraOptions(join(run.folder, file), at.libraries);
  if (judges !== undefined) return { ...settings, lora: shapeOf(ADAPTER_FILE), judgedAs: judges };
  if (startsFrom === undefined) return settings;
  const { dropout, seed } = settings.lora;
  const lora = { ...shapeOf(START_FILE), seed, ...(dropout === undefined ? {} : { dropout }) };
  return { ...settings, lora, startsFrom };
}
