/** The last stage: an admitted adapter goes into the registry, and the engine is asked to serve it. */
import { join } from "node:path";
import { openRegistry } from "#engine/adapters/registry.ts";
import { CodedError, isCoded } from "#engine/base/errors.ts";
import { EngineClient } from "#engine/client/engine-client.ts";
import type { RunData } from "./data-stage.ts";
import type { GateReport } from "./gate-stage.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { Run } from "./run-folder.ts";
import type { Surroundings } from "./surroundings.ts";
import { ADAPTER_FILE } from "./training-stage.ts";

/** The engine's name for the bare weights. */
const BARE_WEIGHTS = "base";

/**
 * Copies the adapter with its manifest into the registry, under the run's id. Taking up a run that
 * was killed right behind this finds it there.
 * @returns the adapter's name
 */
export async function publish(
  at: Surroundings,
  run: Run,
  data: RunData,
  settings: Hyperparameters,
  report: GateReport,
): Promise<string> {
  const registry = openRegistry(at.config.DATA_DIR, at.clock);
  const name = run.note.id;
  try {
    await registry.publish({
      name,
      adapterPath: join(run.folder, ADAPTER_FILE),
      manifest: {
        baseSha256: at.model.sha256,
        parent: registry.current(),
        data: {
          pairs: data.manifest.trainPairs,
          heldOutPairs: data.manifest.heldOutPairs,
          anchors: data.anchors.length,
          manifestSha256: data.manifestSha256,
          fromMs: data.manifest.fromMs,
          toMs: data.manifest.toMs,
        },
        hyperparameters: { ...settings },
        systemPromptSha256: at.systemPrompt.sha256,
        gate: { passed: report.passed, report },
      },
    });
  } catch (error) {
    if (!isCoded(error, "adapter_exists")) throw error;
    await registry.verify(name, at.model.sha256);
  }
  return name;
}

/**
 * Makes an adapter serve, or the bare weights (null): by the engine where one runs on this data folder, else by the pointer.
 * @throws CodedError what the engine or the registry has against it
 */
export async function activate(
  at: Pick<Surroundings, "config" | "clock">,
  name: string | null,
): Promise<"engine" | "pointer"> {
  const registry = openRegistry(at.config.DATA_DIR, at.clock);
  const engine = await findEngine(at, name ?? registry.current());
  if (engine === undefined) {
    await registry.activate(name);
    return "pointer";
  }
  await engine.activate(name ?? BARE_WEIGHTS);
  return "engine";
}

/** The running engine, if it sees this adapter: another one has another data folder. */
async function findEngine(
  at: Pick<Surroundings, "config">,
  name: string | null,
): Promise<EngineClient | undefined> {
  const { ENGINE_URL, ENGINE_HOST, ENGINE_PORT, ENGINE_API_KEY } = at.config;
  const client = new EngineClient({
    url: ENGINE_URL ?? `http://${ENGINE_HOST}:${ENGINE_PORT}`,
    ...(ENGINE_API_KEY === undefined ? {} : { apiKey: ENGINE_API_KEY }),
  });
  try {
    const { adapters } = await client.adapters();
    return adapters.some((one) => one.name === name) ? client : undefined;
  } catch (error) {
    if (error instanceof CodedError && error.code !== "engine_unreachable") throw error;
    return undefined;
  }
}
