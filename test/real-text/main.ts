/**
 * DPO on people's preferences in real text: trains the small model and says how often it agrees with pairs that it
 * has not seen, beside the untrained model and a bag of words. The data set is not part of the project.
 *
 *   npm run real-text -- [--data hh-rlhf.jsonl.gz] [--seeds 42,43] [--folder FOLDER] [--threads 2] [--choose]
 *     [--rate 5e-5] [--epochs 1] [--sft-epochs 1] [--sft-rate 2e-3] [--replay 400] [--tokens 192]
 *
 * With `--choose` the pairs to judge by are left alone: both halves of the others are judged by a model of the other
 * half, to choose settings with. With `--folder` runs are kept there with their curves (metrics.jsonl, metrics.svg)
 * and every pair's figures (pairs.jsonl), and go on from there when they were interrupted.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { PreferencePair } from "#trainer/data/preference.ts";
import { openProgressBar } from "#trainer/run/progress-bar.ts";
import { cpuLibraries } from "../model/libraries.ts";
import {
  agreements,
  differenceOf,
  type Estimate,
  estimateOf,
  meanOfRuns,
  samenessOf,
} from "./agreement.ts";
import { fitWords, wordMargin } from "./bag-of-words.ts";
import { foldsOf, readDialoguePairs, splitDialogues } from "./dialogue-pairs.ts";
import { runVariant, type Score, type Variant, type Word, type Words } from "./run-variant.ts";

const ROOT = join(import.meta.dirname, "../..");
const { values } = parseArgs({
  options: {
    data: { type: "string", default: join(ROOT, "../shared/data/hh-rlhf-harmless-1500.jsonl.gz") },
    model: { type: "string", default: join(ROOT, "deploy/models/nano/nano.gguf") },
    seeds: { type: "string", default: "42,43" },
    folder: { type: "string" },
    threads: { type: "string", default: String(Math.min(2, availableParallelism())) },
    choose: { type: "boolean", default: false },
    rate: { type: "string", default: "5e-5" },
    epochs: { type: "string", default: "1" },
    "sft-epochs": { type: "string", default: "1" },
    "sft-rate": { type: "string", default: "2e-3" },
    replay: { type: "string", default: "400" },
    tokens: { type: "string", default: "192" },
  },
});
const VARIANT: Variant = {
  rate: Number(values.rate),
  epochs: Number(values.epochs),
  sftEpochs: Number(values["sft-epochs"]),
  sftRate: Number(values["sft-rate"]),
  replay: Number(values.replay),
  tokens: Number(values.tokens),
};
const SEEDS = values.seeds.split(",").map(Number);
const L2_TRIED = [0.01, 0.03, 0.1, 0.3];
const FOLDS = 2;
const MARGINS = {
  likelihood: ({ chosen, rejected }: Score) => chosen - rejected,
  perToken: ({ chosenPerToken, rejectedPerToken }: Score) => chosenPerToken - rejectedPerToken,
};

if (existsSync(values.data)) await measure();
else print(`skipped: ${values.data} is not there; give a file of hh-rlhf's form by --data`);

async function measure(): Promise<void> {
  const { pairs, unusable } = readDialoguePairs(values.data);
  const { learn, judge } = splitDialogues(pairs);
  print(`${learn.length} pairs to learn from, ${judge.length} to judge by; ${unusable} unusable`);
  const folder = values.folder ?? mkdtempSync(join(tmpdir(), "zephyr-real-text-"));
  mkdirSync(folder, { recursive: true });
  const parts = values.choose
    ? foldsOf(learn, FOLDS).map((fold) => ({ learn: fold.learn, judge: fold.leftOut }))
    : [{ learn, judge }];
  const l2 = chooseL2(learn);
  try {
    const runs = [];
    for (const seed of SEEDS) runs.push(await runOf(seed, parts, folder));
    const judged = parts.flatMap((part) => part.judge);
    const byWords = parts.flatMap((part) => wordMargins(part.learn, part.judge, l2));
    writePairs(folder, judged, runs);
    tell(judged, runs, agreements(byWords));
  } finally {
    if (values.folder === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

type Part = {
  readonly learn: readonly PreferencePair[];
  readonly judge: readonly PreferencePair[];
};

/** One seed's words on all parts' pairs. */
async function runOf(seed: number, parts: readonly Part[], folder: string): Promise<Words[]> {
  const words: Words[] = [];
  for (const [index, part] of parts.entries()) {
    using bar = openProgressBar(process.stderr);
    words.push(
      await runVariant({
        ...part,
        variant: VARIANT,
        modelPath: values.model,
        libraries: cpuLibraries(),
        threads: Number(values.threads),
        seed,
        folder: join(folder, `seed-${seed}-${index}`),
        curve: values.choose,
        onProgress: bar.show,
      }),
    );
  }
  return words;
}

/** λ by the pairs to learn from alone: each half judged by the other's words. */
function chooseL2(learn: readonly PreferencePair[]): number {
  const agreement = (l2: number): number => {
    const margins = foldsOf(learn, FOLDS).flatMap((fold) =>
      wordMargins(fold.learn, fold.leftOut, l2),
    );
    return estimateOf(agreements(margins)).mean;
  };
  return L2_TRIED.reduce((best, l2) => (agreement(l2) > agreement(best) ? l2 : best));
}

function wordMargins(
  learn: readonly PreferencePair[],
  judge: readonly PreferencePair[],
  l2: number,
): number[] {
  const weights = fitWords(learn, l2);
  return judge.map((pair) => wordMargin(weights, pair));
}

function tell(
  judged: readonly PreferencePair[],
  runs: readonly (readonly Words[])[],
  byWords: readonly number[],
): void {
  const pooled = (marginsOf: (words: Words) => number[]) =>
    meanOfRuns(runs.map((parts) => agreements(parts.flatMap(marginsOf))));
  const by = (stage: keyof Words, margin: keyof typeof MARGINS) =>
    pooled((words) => words[stage].scores.map(MARGINS[margin]));
  const untrained = by("untrained", "likelihood");
  const shorter = agreements(judged.map(({ chosen, rejected }) => rejected.length - chosen.length));
  const rows: [name: string, agreeing: readonly number[]][] = [
    ["the shorter answer", shorter],
    ["bag of words", byWords],
    ["untrained, by likelihood", untrained],
    ["untrained, by likelihood a token", by("untrained", "perToken")],
  ];
  if (VARIANT.sftEpochs > 0) {
    rows.push(["after dSFT, by likelihood a token", by("reference", "perToken")]);
  }
  rows.push(
    ["DPO, by its reward", pooled(({ trained, reference }) => rewards(trained, reference))],
    ["DPO, by likelihood a token", by("trained", "perToken")],
  );
  print("");
  print(
    `| on ${judged.length} pairs, seeds ${SEEDS.join(", ")} | agrees, 95% interval | less the untrained | takes the shorter |`,
  );
  print("|---|---|---|---|");
  for (const [name, agreeing] of rows) {
    const cells = [estimateOf(agreeing), differenceOf(agreeing, untrained)].map(percent);
    print(`| ${[name, ...cells, percentOf(samenessOf(agreeing, shorter))].join(" | ")} |`);
  }
  print("");
  print(`NLL a token of the answers, nats: ${told(runs, nllOf)}`);
  print(`keep-set's NLL, nats: ${told(runs, ({ keepNll }) => keepNll)}`);
}

/** A figure of each stage, mean of all runs, with what it rose by since the untrained model. */
function told(runs: readonly (readonly Words[])[], figureOf: (word: Word) => number): string {
  const mean = (stage: keyof Words) =>
    estimateOf(runs.flat().map((words) => figureOf(words[stage]))).mean;
  const untrained = mean("untrained");
  const after = (stage: keyof Words) =>
    `${mean(stage).toFixed(3)} (${(100 * (mean(stage) / untrained - 1)).toFixed(2)}%)`;
  const afterSft = VARIANT.sftEpochs > 0 ? `${after("reference")} after dSFT, ` : "";
  return `${untrained.toFixed(3)} untrained, ${afterSft}${after("trained")} after DPO`;
}

function nllOf({ scores }: Word): number {
  return -estimateOf(scores.flatMap((score) => [score.chosenPerToken, score.rejectedPerToken]))
    .mean;
}

/** What the loss makes its margin of: log-ratios to the reference. */
function rewards(trained: Words["trained"], reference: Words["reference"]): number[] {
  const margin = MARGINS.likelihood;
  return trained.scores.map((score, pair) => {
    const before = reference.scores[pair];
    return margin(score) - (before === undefined ? Number.NaN : margin(before));
  });
}

/** Each pair's figures by its id, so that two variants can be compared pair by pair. */
function writePairs(
  folder: string,
  judged: readonly PreferencePair[],
  runs: readonly (readonly Words[])[],
): void {
  const lines = runs.flatMap((parts, run) => {
    const of = (stage: keyof Words) => parts.flatMap((words) => words[stage].scores);
    const [untrained, reference, trained] = [of("untrained"), of("reference"), of("trained")];
    return judged.map(({ id }, pair) =>
      JSON.stringify({
        id,
        seed: SEEDS[run],
        untrained: untrained[pair],
        reference: reference[pair],
        trained: trained[pair],
      }),
    );
  });
  writeFileSync(join(folder, "pairs.jsonl"), `${lines.join("\n")}\n`);
}

function percent({ mean, low, high }: Estimate): string {
  return `${percentOf(mean)} (${percentOf(low)} to ${percentOf(high)})`;
}

function percentOf(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
