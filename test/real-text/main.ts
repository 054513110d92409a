/**
 * DPO on people's preferences in real text: trains an adapter on the small model and says how often it agrees with
 * pairs that it has not seen, beside the untrained model and a bag of words. The data set is not part of the project.
 *
 *   npm run real-text -- [--data hh-rlhf.jsonl.gz] [--rate 5e-4] [--beta 0.1] [--epochs 3] [--tokens 320]
 *     [--seed 42] [--threads 2] [--folder FOLDER] [--keep-plot FILE] [--choose]
 *
 * With `--choose` the pairs to judge by are left alone: figures of the pairs to stop by only, to choose settings with.
 * With `--folder` the run is kept there, and goes on from there when it was interrupted.
 */
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { loadKeepSet } from "#prompts/load.ts";
import { encodePairs } from "#trainer/data/chat.ts";
import type { PreferencePair } from "#trainer/data/preference.ts";
import { scoredTokens, sequenceLogp } from "#trainer/data/sequence.ts";
import { proportionOf, shareOf, wilsonInterval } from "#trainer/gate/proportion.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import type { Trainable } from "#trainer/model/trainable.ts";
import { type DpoOptions, type DpoOutcome, trainDpo } from "#trainer/run/dpo.ts";
import { readMetrics } from "#trainer/run/metrics.ts";
import { openProgressBar } from "#trainer/run/progress-bar.ts";
import { cpuLibraries } from "../model/libraries.ts";
import { fitWords, wordMargin } from "./bag-of-words.ts";
import { type DialogueSplit, readDialoguePairs, splitDialogues } from "./dialogue-pairs.ts";

const ROOT = join(import.meta.dirname, "../..");
const { values } = parseArgs({
  options: {
    data: { type: "string", default: join(ROOT, "../shared/data/hh-rlhf-harmless-1500.jsonl.gz") },
    model: { type: "string", default: join(ROOT, "deploy/models/nano/nano.gguf") },
    rate: { type: "string", default: "5e-4" },
    beta: { type: "string", default: "0.1" },
    epochs: { type: "string", default: "3" },
    tokens: { type: "string", default: "320" },
    seed: { type: "string", default: "42" },
    folder: { type: "string" },
    choose: { type: "boolean", default: false },
    threads: { type: "string", default: String(Math.min(2, availableParallelism())) },
    "keep-plot": { type: "string" },
  },
});
const LORA = {
  rank: 16,
  alpha: 16,
  targets: ["q", "k", "v", "o", "gate", "up", "down"],
  seed: Number(values.seed),
} as const;
const TOKENS = Number(values.tokens);
/** Of a prompt and an answer together; the prompt gives way first. */
const LIMITS = { maxTokens: TOKENS, maxPromptTokens: Math.floor(0.6 * TOKENS) };
const OPTIONS: Partial<DpoOptions> = {
  ...LIMITS,
  seed: Number(values.seed),
  learningRate: Number(values.rate),
  beta: Number(values.beta),
  epochs: Number(values.epochs),
  batchSize: 16,
  maxTokensPerBatch: 2048,
  evalEverySteps: 15,
  earlyStop: { figure: "eval_loss", goal: "lowest", patience: 4, minDelta: 0 },
};
const L2_TRIED = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3];

if (existsSync(values.data)) await measure();
else print(`skipped: ${values.data} is not there; give a file of hh-rlhf's form by --data`);

async function measure(): Promise<void> {
  const { pairs, unusable } = readDialoguePairs(values.data);
  const split = splitDialogues(pairs);
  const { train, develop, judge } = split;
  print(
    `${train.length} pairs to train on, ${develop.length} to stop by, ${judge.length} to judge by; ${unusable} unusable`,
  );
  const folder = values.folder ?? mkdtempSync(join(tmpdir(), "zephyr-real-text-"));
  mkdirSync(folder, { recursive: true });
  try {
    await trainAndTell(folder, split);
  } finally {
    if (values.folder === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

async function trainAndTell(folder: string, split: DialogueSplit): Promise<void> {
  const libraries = cpuLibraries();
  using vocabulary = Vocabulary.open(values.model, libraries);
  using model = openTrainable({
    ggufPath: values.model,
    lora: LORA,
    precision: "f32",
    threads: Number(values.threads),
    maxTokensPerBatch: 2048,
    libraries,
  });
  const judged = values.choose ? split.develop : split.judge;
  const scored = encodePairs(vocabulary, judged, LIMITS);
  print(
    `${scored.truncated.length} of the ${judged.length} were cut to ${LIMITS.maxTokens} tokens`,
  );
  const before = await scoresOf(model, scored.examples);
  using bar = openProgressBar(process.stderr);
  const outcome = await trainDpo({
    model,
    vocabulary,
    pairs: split.train,
    evalPairs: split.develop,
    keepSet: loadKeepSet(),
    modelSha256: createHash("sha256").update(readFileSync(values.model)).digest("hex"),
    runDir: folder,
    options: OPTIONS,
    onProgress: bar.show,
  });
  const after = await scoresOf(model, scored.examples);
  tellCurve(folder, outcome);
  print("");
  print(`| on the pairs to ${values.choose ? "stop" : "judge"} by | agrees | 95% interval |`);
  print("|---|---|---|");
  tell(
    "untrained, by likelihood",
    before.map(({ logp }) => logp),
  );
  tell(
    "untrained, by likelihood a token",
    before.map(({ perToken }) => perToken),
  );
  // Its λ is chosen by the pairs to stop by: on these it would look better than it is.
  if (!values.choose) tell("bag of words", wordMargins(split));
  tell(
    "the shorter answer",
    judged.map(({ chosen, rejected }) => rejected.length - chosen.length),
  );
  tell(
    "DPO, by implicit reward",
    after.map(({ logp }, i) => logp - (before[i]?.logp ?? Number.NaN)),
  );
  tell(
    "DPO, by likelihood a token",
    after.map(({ perToken }) => perToken),
  );
  const keptPlot = values["keep-plot"];
  if (keptPlot !== undefined) copyFileSync(join(folder, "metrics.svg"), keptPlot);
}

/** Chosen less rejected: log-likelihood, whole and per token. */
type Score = { readonly logp: number; readonly perToken: number };

async function scoresOf(
  model: Trainable,
  examples: ReturnType<typeof encodePairs>["examples"],
): Promise<Score[]> {
  const scores: Score[] = [];
  for (const { sequences } of examples) {
    const [chosen = 0, rejected = 0] = (await model.logps(sequences)).map(sequenceLogp);
    const [chosenTokens = 1, rejectedTokens = 1] = sequences.map(scoredTokens);
    const perToken = chosen / chosenTokens - rejected / rejectedTokens;
    scores.push({ logp: chosen - rejected, perToken });
  }
  return scores;
}

/** λ is the one that agrees best with the pairs to stop by. */
function wordMargins({ train, develop, judge }: DialogueSplit): number[] {
  const agreement = (weights: ReturnType<typeof fitWords>, pairs: readonly PreferencePair[]) =>
    shareOf(proportionOf(pairs.map((pair) => wordMargin(weights, pair) > 0)));
  const fits = L2_TRIED.map((l2) => fitWords(train, l2));
  const best = fits.reduce((a, b) => (agreement(b, develop) > agreement(a, develop) ? b : a));
  return judge.map((pair) => wordMargin(best, pair));
}

function tellCurve(folder: string, { status, step, totalSteps, best }: DpoOutcome): void {
  print("");
  print("| step | loss held out | agrees | margin | logp of chosen | keep-set's NLL, rise |");
  print("|---|---|---|---|---|---|");
  for (const line of readMetrics(join(folder, "metrics.jsonl"))) {
    if (line["eval_loss"] === undefined) continue;
    const figure = (name: string, digits: number) =>
      (line[`eval_${name}`] ?? Number.NaN).toFixed(digits);
    const rise = `${(100 * (line["eval_keep_nll_rise"] ?? Number.NaN)).toFixed(2)}%`;
    const cells = [
      figure("loss", 4),
      figure("rewards/accuracies", 3),
      figure("rewards/margins", 3),
    ];
    print(`| ${[line.step, ...cells, figure("logps/chosen", 1), rise].join(" | ")} |`);
  }
  print("");
  print(`${status} at step ${step} of ${totalSteps}; kept the parameters of step ${best?.step}`);
}

/** A tie agrees by half. */
function tell(name: string, margins: readonly number[]): void {
  const ties = margins.filter((margin) => margin === 0).length;
  const count = margins.filter((margin) => margin > 0).length + ties / 2;
  const { low, high } = wilsonInterval({ count, total: margins.length });
  const percent = (share: number) => (100 * share).toFixed(1);
  print(
    `| ${name} | ${percent(count / margins.length)}% of ${margins.length} | ${percent(low)}–${percent(high)}% |`,
  );
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
