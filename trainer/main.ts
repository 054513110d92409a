#!/usr/bin/env node
/**
 * The training process: `node trainer/main.ts [--json] [--plan] [--no-activate] [--loss NAME] [--judge ADAPTER | --from ADAPTER]`,
 * or `--export FOLDER [--format NAME] [--base-model ID]`.
 * Progress goes to stderr, the result to stdout. Exit codes: 0 done, 1 failed or interrupted, 2 wrong
 * use, 3 refused by the gate, or by the plan for lack of memory. SIGINT and SIGTERM save the run's place.
 */
import { parseArgs } from "node:util";
import { loadConfig } from "#engine/base/config.ts";
import { runEntryPoint } from "#engine/base/entry-point.ts";
import { EXPORT_FORMATS } from "./export/folder.ts";
import {
  exportTraining,
  planTraining,
  type RunResult,
  type TrainingPlan,
  type TrainRequest,
  trainNightly,
} from "./nightly/train.ts";
import { describeDrops } from "./pairs/dataset.ts";
import { openProgressBar } from "./run/progress-bar.ts";

const OPTIONS = {
  json: { type: "boolean", default: false },
  plan: { type: "boolean", default: false },
  "no-activate": { type: "boolean", default: false },
  loss: { type: "string" },
  judge: { type: "string" },
  from: { type: "string" },
  export: { type: "string" },
  format: { type: "string", default: "trl" },
  "base-model": { type: "string" },
} as const;
const EXIT_CODES = { published: 0, aborted: 1, refused: 3 } as const satisfies Record<
  RunResult["status"],
  number
>;
const WRONG_USE = 2;
/** The plan's own gate. */
const DOES_NOT_FIT = 3;

type Flags = {
  readonly json: boolean;
  readonly plan: boolean;
  readonly "no-activate": boolean;
  readonly loss?: string | undefined;
  /** An adapter of the registry to judge instead of training one. */
  readonly judge?: string | undefined;
  /** An adapter of the registry to start from. */
  readonly from?: string | undefined;
  /** A folder that gets the data instead of a training. */
  readonly export?: string | undefined;
  readonly format: string;
  readonly "base-model"?: string | undefined;
};

function readFlags(): Flags | undefined {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return undefined;
  }
}

async function run(flags: Flags): Promise<number> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort());
  using bar = openProgressBar(process.stderr);
  const request: TrainRequest = {
    config: loadConfig(flags.loss === undefined ? {} : { TRAIN_LOSS: flags.loss }),
    activate: !flags["no-activate"],
    ...(flags.judge === undefined ? {} : { judge: flags.judge }),
    ...(flags.from === undefined ? {} : { startFrom: flags.from }),
    signal: stop.signal,
    say: (what) => process.stderr.write(`${what}\n`),
    onProgress: bar.show,
  };
  if (flags.plan) return plan(flags.json, await planTraining(request));
  if (flags.export !== undefined) return exportTo(flags.export, flags, request);
  const result = await trainNightly(request);
  print(flags.json, result);
  return EXIT_CODES[result.status];
}

async function exportTo(folder: string, flags: Flags, request: TrainRequest): Promise<number> {
  const format = EXPORT_FORMATS.find((name) => name === flags.format);
  if (format === undefined) {
    process.stderr.write(`--format is one of ${EXPORT_FORMATS.join(", ")}; got ${flags.format}\n`);
    return WRONG_USE;
  }
  const baseModel = flags["base-model"] ?? null;
  const rows = await exportTraining(request, { folder, format, baseModel });
  const message = `${rows.train} rows to train on and ${rows.test} held out are in ${folder}, with a recipe. They are people's words: remove the folder when it has served.`;
  print(flags.json, { status: "exported", folder, format, ...rows, message });
  return 0;
}

function plan(json: boolean, planned: TrainingPlan): number {
  const { memory } = planned;
  if (!planned.fits) {
    print(json, { status: "does_not_fit", ...planned, message: memory.message });
    return DOES_NOT_FIT;
  }
  const { data } = planned;
  const learned = `${data.trainPairs} pairs to train on, ${data.heldOutPairs} held out, from ${data.raters} people. ${describeDrops(data.dropped)}.`;
  print(json, { status: "planned", ...data, memory, message: `${memory.message}\n${learned}` });
  return 0;
}

function print<T extends { readonly message: string }>(json: boolean, result: T): void {
  process.stdout.write(
    `${json ? JSON.stringify({ event: "result", ...result }) : result.message}\n`,
  );
}

const flags = readFlags();
if (flags === undefined) process.exitCode = WRONG_USE;
else await runEntryPoint("trainer", flags.json, () => run(flags));
