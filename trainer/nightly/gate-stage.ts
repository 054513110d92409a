/** The third stage: the adapter as it lies in its file is measured beside the base and the serving one. */
import { join } from "node:path";
import { openRegistry } from "#engine/adapters/registry.ts";
import type { ChatMessage } from "#engine/backends/backend.ts";
import { writeFileAtomic } from "#engine/base/atomic-file.ts";
import { CodedError } from "#engine/base/errors.ts";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { loadKeepSet, loadProbes } from "#prompts/load.ts";
import { type Interview, measureAnswers, type Questions } from "../gate/answers.ts";
import { decide, type GateVerdict } from "../gate/decide.ts";
import type { GateFigures, ModelFigures } from "../gate/figures.ts";
import { measureLikelihood } from "../gate/likelihood.ts";
import { loadLora, readLoraOptions } from "../gate/load-adapter.ts";
import { formatReport } from "../gate/report.ts";
import { openTrainable } from "../model/open-trainable.ts";
import { describeDrops } from "../pairs/dataset.ts";
import type { RunData } from "./data-stage.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import {
  answerTokens,
  openBackend,
  openRefusalJudge,
  type Surroundings,
  threadsOf,
} from "./surroundings.ts";
import { ADAPTER_FILE } from "./training-stage.ts";

/** What the gate says, with the figures that it rests on; it goes into report and manifest. */
export type GateReport = GateVerdict & { readonly figures: GateFigures };

type ServingAdapter = { readonly name: string; readonly path: string };

/** Names inside the measuring backend; the registry's names do not matter there. */
const CANDIDATE = "candidate";
const SERVING = "serving";

/** Measures, decides, and writes report.json and report.md into the run's folder. */
export async function passGate(
  at: Surroundings,
  run: { readonly id: string; readonly folder: string },
  data: RunData,
  settings: Hyperparameters,
): Promise<GateReport> {
  at.say("Measuring the adapter …");
  const serving = await servingAdapter(at);
  const path = join(run.folder, ADAPTER_FILE);
  const own = await likelihoodOf(at, path, data, settings);
  const theirs =
    serving === undefined ? undefined : await likelihoodOf(at, serving.path, data, settings);
  const answers = await measureAll(at, path, serving, data);
  const figures: GateFigures = {
    base: { answers: answers.base, keepNll: own.baseKeepNll },
    candidate: { likelihood: own, answers: answers.candidate },
    ...(serving === undefined || theirs === undefined || answers.serving === undefined
      ? {}
      : { serving: { name: serving.name, likelihood: theirs, answers: answers.serving } }),
    refusalJudge: answers.refusalJudge,
  };
  const report = { ...decide(figures), figures };
  writeFileAtomic(join(run.folder, "report.json"), `${JSON.stringify(report, null, 2)}\n`);
  const leftOut = describeDrops(data.manifest.dropped);
  writeFileAtomic(join(run.folder, "report.md"), formatReport(run.id, report, leftOut));
  return report;
}

/** The adapter that serves on this base, if one does and its file is sound. */
async function servingAdapter(at: Surroundings): Promise<ServingAdapter | undefined> {
  const registry = openRegistry(at.config.DATA_DIR);
  const name = registry.current();
  if (name === null) return undefined;
  try {
    return await registry.verify(name, at.model.sha256);
  } catch (error) {
    // It cannot serve either, so the bare weights do, and the base's figures are those to beat.
    if (!(error instanceof CodedError)) throw error;
    at.say(`${error.message} The bare weights are the measure instead.`);
    return undefined;
  }
}

async function likelihoodOf(
  at: Surroundings,
  adapterPath: string,
  data: RunData,
  settings: Hyperparameters,
): ReturnType<typeof measureLikelihood> {
  using vocabulary = Vocabulary.open(at.model.path, at.libraries);
  using model = openTrainable({
    ggufPath: at.model.path,
    lora: readLoraOptions(adapterPath, at.libraries),
    precision: settings.precision,
    threads: threadsOf(at.config),
    maxTokensPerBatch: settings.dpo.maxTokensPerBatch,
    libraries: at.libraries,
  });
  loadLora(model, adapterPath, at.libraries);
  const scored = {
    vocabulary,
    heldOut: data.heldOut,
    unseen: data.unseen,
    keepSet: loadKeepSet(),
    limits: settings.dpo,
  };
  return await measureLikelihood(model, scored, at.signal);
}

type AllAnswers = {
  readonly base: ModelFigures["answers"];
  readonly candidate: ModelFigures["answers"];
  readonly serving?: ModelFigures["answers"];
  readonly refusalJudge: GateFigures["refusalJudge"];
};

async function measureAll(
  at: Surroundings,
  candidatePath: string,
  serving: ServingAdapter | undefined,
  data: RunData,
): Promise<AllAnswers> {
  await using backend = await openBackend(at);
  await backend.loadAdapter(CANDIDATE, candidatePath);
  if (serving !== undefined) await backend.loadAdapter(SERVING, serving.path);
  const { judge, ...refusalJudge } = await openRefusalJudge(backend, at.signal);
  const interview: Interview = {
    backend,
    questions: questionsFor(data),
    systemPrompt: at.systemPrompt.text,
    refuses: judge,
    maxTokens: answerTokens(at.config),
    signal: at.signal,
  };
  const base = await measureAnswers(interview, null);
  const candidate = await measureAnswers(interview, CANDIDATE);
  if (serving === undefined) return { base, candidate, refusalJudge };
  return { base, candidate, serving: await measureAnswers(interview, SERVING), refusalJudge };
}

function questionsFor(data: RunData): Questions {
  const heldOut = new Map(data.heldOut.map(({ promptKey, prompt }) => [promptKey, prompt]));
  const everyday = loadKeepSet()
    .filter(({ kind }) => kind !== "refusal")
    .map(({ messages }): ChatMessage[] => messages.slice(0, 1));
  return {
    unlawful: loadProbes("unlawful"),
    benign: loadProbes("benign"),
    everyday: [...heldOut.values(), ...everyday],
  };
}
