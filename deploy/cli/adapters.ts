/**
 * `zephyr adapters …`: what is in the registry, and which one serves. A running engine swaps at once;
 * without one the pointer is moved, and the next start serves it.
 */

import type { Canary } from "#engine/adapters/pointer.ts";
import { type AdapterListing, openRegistry } from "#engine/adapters/registry.ts";
import type { Config } from "#engine/base/config.ts";
import { CodedError } from "#engine/base/errors.ts";
import type { EngineClient } from "#engine/client/engine-client.ts";
import { runningEngine } from "./engine-access.ts";
import { table } from "./outcome.ts";

/** A command's result, for scripts and for people. */
export type CommandResult = { readonly result: object; readonly text: string };

/** The bare weights, by the name that the engine's API gives them. */
const BASE = "base";

/** `adapters list` */
export function listAdapters(config: Config): CommandResult {
  const registry = openRegistry(config.DATA_DIR);
  const { current, problem, canary } = registry.pointer();
  const adapters = registry.list();
  const result = {
    active: current,
    canary: canary ?? null,
    ...(problem === undefined ? {} : { problem }),
    adapters: adapters.map((entry) => ({ ...entry, active: entry.name === current })),
  };
  const rows = adapters.map((entry) => toRow(entry, current));
  const header = ["", "NAME", "MADE (UTC)", "PAIRS", "GATE", "PARENT"];
  const empty = "No adapters yet. Train one by: npx zephyr train";
  const list = rows.length === 0 ? empty : table([header, ...rows]);
  const notes = [
    ...(problem === undefined ? [] : [problem]),
    ...(current === null ? ["The bare weights serve."] : []),
    ...(canary === undefined ? [] : [onTrial(canary)]),
  ];
  return { result, text: [...notes, list].join("\n") };
}

/** `adapters activate <name>`; `base` goes back to the bare weights. */
export async function activateAdapter(config: Config, name: string): Promise<CommandResult> {
  const registry = openRegistry(config.DATA_DIR);
  const previous = registry.current();
  const target = name === BASE ? null : name;
  const engine = await ownEngine(config, target);
  if (engine === undefined) await registry.activate(target);
  else await engine.activate(name);
  return moved(target, previous, engine !== undefined);
}

/** `adapters rollback`: a trial ends first; else to what served before. */
export async function rollbackAdapter(config: Config): Promise<CommandResult> {
  const registry = openRegistry(config.DATA_DIR);
  const { current: previous, canary } = registry.pointer();
  if (canary !== undefined) return endTrial(config, canary.name, previous);
  const { current } = await registry.rollback();
  const engine = await ownEngine(config, current);
  await engine?.activate(current ?? BASE);
  return moved(current, previous, engine !== undefined);
}

async function endTrial(
  config: Config,
  name: string,
  active: string | null,
): Promise<CommandResult> {
  const engine = await ownEngine(config, name);
  if (engine === undefined) await openRegistry(config.DATA_DIR).setCanary(null);
  else await engine.deactivate(name);
  const result = { active, previous: active, live: engine !== undefined, ended: name };
  return {
    result,
    text: `The trial of ${name} is over; everybody is answered by ${active ?? "the bare weights"}.`,
  };
}

function onTrial({ name, share }: Canary): string {
  return `On trial with ${Math.round(share * 100)}% of the servers: ${name}.`;
}

/**
 * The running engine, if it serves from this data folder.
 * @throws CodedError `engine_unreachable` when one runs that knows nothing of the adapter
 */
async function ownEngine(
  config: Config,
  adapter: string | null,
): Promise<EngineClient | undefined> {
  const engine = await runningEngine(config);
  if (engine === undefined || adapter === null) return engine;
  const { adapters } = await engine.adapters();
  if (adapters.some(({ name }) => name === adapter)) return engine;
  if (config.ENGINE_URL === undefined) return undefined;
  throw new CodedError(
    `The engine at ${config.ENGINE_URL} has no adapter ${adapter}: it uses another data folder than ${config.DATA_DIR}. Copy the adapter there, or unset ENGINE_URL.`,
    { code: "adapter_unknown" },
  );
}

function moved(active: string | null, previous: string | null, live: boolean): CommandResult {
  const name = active ?? "the bare weights";
  const how = live ? "The engine serves" : "No engine runs; the next start serves";
  return {
    result: { active, previous, live },
    text: `${how} ${name} (before: ${previous ?? "the bare weights"}).`,
  };
}

function toRow(entry: AdapterListing, current: string | null): string[] {
  const mark = entry.name === current ? "*" : "";
  if ("problem" in entry) return [mark, entry.name, "", "", "damaged", entry.problem];
  const { createdAt, data, gate, parent } = entry.manifest;
  const verdict = gate.passed ? "passed" : "refused";
  const made = createdAt.slice(0, 16).replace("T", " ");
  return [mark, entry.name, made, String(data.pairs), verdict, parent ?? "–"];
}
