/**
 * A training run from end to end: data, training, gate, registry, engine. A run that was cut short is
 * taken up where it was, unless something that it learns from was deleted meanwhile.
 */

import { join } from "node:path";
import { type Clock, systemClock } from "#engine/base/clock.ts";
import type { Config } from "#engine/base/config.ts";
import { CodedError, isCoded } from "#engine/base/errors.ts";
import { takeLock } from "#engine/base/exclusive-lock.ts";
import { hashFile } from "#engine/base/file-hash.ts";
import { downloadModel } from "#engine/llama/download.ts";
import { chooseBuild } from "#engine/llama/gpu-build.ts";
import { loadLibraries } from "#engine/native/library.ts";
import { locateModel } from "#engine/service/model-path.ts";
import { loadPrompt } from "#prompts/load.ts";
import { type ExportedRows, type ExportFormat, writeExport } from "../export/folder.ts";
import { KeyRing } from "../feedback/key-ring.ts";
import { describeFailures } from "../gate/report.ts";
import { ratedCompletions } from "../pairs/completions.ts";
import { describeDataset } from "../pairs/dataset.ts";
import type { Progress } from "../run/run.ts";
import { leftOutNotice, untilCaughtUp } from "./catch-up.ts";
import { buildData, eligibility, type RunData, readData, storeData } from "./data-stage.ts";
import { passGate } from "./gate-stage.ts";
import { beginWith, givenAdapter, settingsOf } from "./given-adapter.ts";
import { chooseMemory, type MemoryChoice } from "./memory-stage.ts";
import { activate, publish } from "./publish.ts";
import { retireTainted } from "./retire.ts";
import {
  createRun,
  noteStage,
  type Run,
  runsFolder,
  tidyOldRuns,
  tidyRun,
  unfinishedRun,
} from "./run-folder.ts";
import type { Surroundings } from "./surroundings.ts";
import { answersOf, settingsFor, settingsForExamples, trainAdapter } from "./training-stage.ts";

/** What to do. */
export type TrainRequest = {
  readonly config: Config;
  /** Serve the adapter when it passed the gate. */
  readonly activate: boolean;
  /** An adapter of the registry to judge instead of training one, such as an imported one. */
  readonly judge?: string;
  /** An adapter of the registry to start from, held to it as the reference; one that was imported. */
  readonly startFrom?: string;
  readonly signal: AbortSignal;
  readonly say: (what: string) => void;
  readonly onProgress: (progress: Progress) => void;
  readonly clock?: Clock;
};

/** How a run ended, where it did not fail. */
export type RunResult =
  | {
      readonly status: "published";
      readonly run: string;
      readonly adapter: string;
      /** `engine`: it serves now; `pointer`: from the next start; `no`: it was only published. */
      readonly activated: "engine" | "pointer" | "no";
      readonly folder: string;
      readonly message: string;
    }
  | {
      readonly status: "refused";
      readonly run: string;
      readonly failed: readonly string[];
      readonly folder: string;
      readonly message: string;
    }
  | {
      readonly status: "aborted";
      readonly run: string;
      readonly folder: string;
      readonly message: string;
    };

/**
 * Trains (or takes an adapter as it is), judges, publishes and activates.
 * @throws CodedError `training_running`, `data_too_small`, `disk_full`, and those of each stage
 */
export async function trainNightly(request: TrainRequest): Promise<RunResult> {
  const { config, clock = systemClock } = request;
  const lock = takeLock(join(runsFolder(config.DATA_DIR), "lock"));
  if (!lock.held) {
    throw new CodedError(
      `A training run (process ${lock.holder}) works in ${config.DATA_DIR} already. Wait for it to end.`,
      { code: "training_running" },
    );
  }
  using _ = lock;
  using at = await openSurroundings(request, clock);
  const given = await givenAdapter(at, request);
  await untilCaughtUp(at);
  const cutShort = given === undefined ? takeUp(at) : undefined;
  tidyOldRuns(config.DATA_DIR);
  const run = cutShort ?? createRun(config.DATA_DIR, at.model.sha256, clock.nowMs());
  try {
    const begun = given === undefined ? run : await beginWith(at, run, given);
    const result = await runStages(at, begun, request.activate);
    if (result.status !== "aborted") {
      tidyRun(run);
      await retireTainted(at);
    }
    return result;
  } catch (error) {
    if (!request.signal.aborted) await retireTainted(at);
    return endEarly(error, run, request.signal);
  }
}

/** What a run would hold in memory, and what it would learn from; no data where it would not fit. */
export type TrainingPlan =
  | { readonly fits: false; readonly memory: MemoryChoice }
  | { readonly fits: true; readonly memory: MemoryChoice; readonly data: RunData["manifest"] };

/** Only what would be done. @throws CodedError as `trainNightly`, but for a lack of memory */
export async function planTraining(request: TrainRequest): Promise<TrainingPlan> {
  using at = await openSurroundings(request, request.clock ?? systemClock);
  // How many examples there are does not matter to memory.
  const memory = chooseMemory(at, settingsForExamples(at, 1));
  if (!memory.fits) return { fits: false, memory };
  return { fits: true, memory, data: describeDataset((await buildData(at)).dataset) };
}

/** What to export, and where to. */
export type ExportRequest = {
  readonly folder: string;
  readonly format: ExportFormat;
  /** The Hugging Face id of the same model, for the recipe. */
  readonly baseModel: string | null;
};

/**
 * Builds the data as a training would, and writes it for other trainers instead.
 * @throws CodedError as `trainNightly`
 */
export async function exportTraining(
  request: TrainRequest,
  { folder, format, baseModel }: ExportRequest,
): Promise<ExportedRows> {
  using at = await openSurroundings(request, request.clock ?? systemClock);
  await untilCaughtUp(at);
  const { dataset, anchors } = await buildData(at);
  const data = { ...dataset, anchors };
  return writeExport(folder, {
    format,
    train: [...dataset.train, ...anchors],
    test: dataset.heldOut,
    trainCompletions: answersOf(data),
    testCompletions: ratedCompletions(dataset.heldOut),
    settings: settingsFor(at, data),
    baseModel,
    baseName: at.model.id,
  });
}

async function openSurroundings(
  request: TrainRequest,
  clock: Clock,
): Promise<Surroundings & Disposable> {
  const { config, signal, say, onProgress } = request;
  const location = await locateModel(config.MODEL, config.DATA_DIR, (uri, folder) =>
    downloadModel(uri, { folder, signal, onProgress: () => {} }),
  );
  const build = await chooseBuild(config.GPU);
  const keys = KeyRing.open(config);
  return {
    config,
    clock,
    libraries: loadLibraries(build.folder),
    model: { ...location, sha256: await hashFile(location.path) },
    systemPrompt: loadPrompt("system/default"),
    keys,
    [Symbol.dispose]: () => keys[Symbol.dispose](),
    signal,
    say,
    onProgress,
  };
}

/** The run that was cut short, if what it stands on still does; else it is closed. */
function takeUp(at: Surroundings): Run | undefined {
  const run = unfinishedRun(at.config.DATA_DIR);
  if (run === undefined) return undefined;
  const problem = whyNotTakenUp(at, run);
  if (problem === undefined) {
    at.say(`Taking up run ${run.note.id}, which was cut short …`);
    return run;
  }
  at.say(`Run ${run.note.id} was cut short and is not taken up: ${problem}`);
  noteStage(run, "failed", problem);
  return undefined;
}

function whyNotTakenUp(at: Surroundings, run: Run): string | undefined {
  if (run.note.baseSha256 !== at.model.sha256) return "MODEL is another one now.";
  if (run.note.stage === "data") return undefined;
  try {
    return NOT_TAKEN_UP[eligibility(readData(run.folder, at.keys), at)];
  } catch (error) {
    if (isCoded(error, "erased_meanwhile")) return NOT_TAKEN_UP.gone;
    if (isCoded(error, "checkpoint_corrupt")) return error.message;
    throw error;
  }
}

const NOT_TAKEN_UP = {
  eligible: undefined,
  gone: "something that it learns from was deleted.",
  unsure: "what happened on Discord to something that it learns from is not known.",
} as const;

async function runStages(at: Surroundings, begun: Run, doActivate: boolean): Promise<RunResult> {
  const { folder, note } = begun;
  const isNew = note.stage === "data";
  const data = isNew ? storeData(folder, await buildData(at), at.keys) : readData(folder, at.keys);
  let run = isNew ? noteStage(begun, "training") : begun;
  const settings = settingsOf(at, run, data);
  const ids = { run: run.note.id, folder: run.folder };
  if (run.note.stage === "training") {
    const outcome = await trainAdapter(at, run.folder, data, settings);
    if (outcome.status === "aborted") return aborted(run);
    run = noteStage(run, "gate");
  }
  const report = await passGate(at, { id: run.note.id, folder: run.folder }, data, settings);
  if (!report.passed) {
    const message = `The gate refused the adapter: ${describeFailures(report)}. What served before goes on serving.${leftOutNotice(data.manifest.dropped)} Report: ${join(run.folder, "report.md")}`;
    noteStage(run, "refused", message);
    const failed = report.checks.filter(({ passed }) => !passed).map(({ id }) => id);
    return { status: "refused", ...ids, failed, message };
  }
  // The gate may take hours: what was deleted meanwhile must not be served either.
  await untilCaughtUp(at);
  const still = eligibility(data, at);
  if (still === "unsure") return aborted(run, UNSURE_AT_THE_END);
  if (still === "gone") return deletedMeanwhile(run);
  const adapter = await publish(at, run, data, settings, report);
  const activated = doActivate ? await activate(at, adapter) : "no";
  const message = `Adapter ${adapter} passed the gate and ${SERVES[activated]}${leftOutNotice(data.manifest.dropped)} Report: ${join(run.folder, "report.md")}`;
  noteStage(run, "published", message);
  return { status: "published", ...ids, adapter, activated, message };
}

const SERVES = {
  engine: "serves now.",
  pointer: "will serve from the engine's next start.",
  no: "is in the registry; npx zephyr adapters activate makes it serve.",
} as const;

/** Being asked to stop leaves the run where it is; so does a full disk. Any other failure closes it. */
function endEarly(error: unknown, run: Run, signal: AbortSignal): RunResult {
  if (signal.aborted && (error === signal.reason || !(error instanceof CodedError))) {
    return aborted(run);
  }
  if (isCoded(error, "erased_meanwhile")) {
    tidyRun(run);
    return deletedMeanwhile(run);
  }
  if (!isCoded(error, "disk_full")) {
    noteStage(run, "failed", error instanceof Error ? error.message : String(error));
    tidyRun(run);
  }
  throw error;
}

/** The next training goes without what is gone. */
function deletedMeanwhile(run: Run): RunResult {
  const message =
    "Something that the adapter learned from was deleted while it was trained; it is not published. The next training goes without it.";
  noteStage(run, "refused", message);
  const { folder, note } = run;
  return { status: "refused", run: note.id, folder, failed: ["deleted_meanwhile"], message };
}

const UNSURE_AT_THE_END =
  "is not published yet: what happened on Discord meanwhile to something that it learned from is not known. The next training takes it up.";

function aborted(
  run: Run,
  why = "was interrupted; the next training takes it up where it is.",
): RunResult {
  const message = `Run ${run.note.id} ${why}`;
  return { status: "aborted", run: run.note.id, folder: run.folder, message };
}
