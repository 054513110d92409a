/**
 * Compares this trainer with TRL's DPOTrainer (PEFT LoRA, F32) on the same weights, pairs and order: the loss of
 * each step and the adapter at the end. For a machine whose Python has torch, trl, peft, transformers, datasets and
 * gguf; elsewhere it says what is missing and ends with 0. Exit code 1 when the two disagree.
 *
 *   npm run parity -- [--python /path/to/python] [--steps 20] [--threads 2]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DPO_DEFAULTS } from "#trainer/run/dpo.ts";
import { cpuLibraries } from "../model/libraries.ts";
import { importedLogps, type OwnRun, trainOwn } from "./own-run.ts";
import { missingPackages, TRL_SCRIPT } from "./python.ts";
import { drawPairs, LORA, type Scenario, writeModel, writeRequest } from "./scenario.ts";

const { values } = parseArgs({
  options: {
    python: { type: "string", default: "python3" },
    steps: { type: "string", default: "20" },
    threads: { type: "string", default: String(Math.min(2, availableParallelism())) },
  },
});
const STEPS = Number(values.steps);
const BATCH = 4;
const VOCABULARY = 600;
const LOSS_LIMIT = 1e-3;
const ADAPTER_LIMIT = 1e-2;
const LOGP_LIMIT = 1e-4;

type Theirs = {
  readonly losses: readonly number[];
  /** By transformers: our exported adapter's, and the adapter's that TRL trained. */
  readonly exportedLogps: readonly number[];
  readonly trainedLogps: readonly number[];
  readonly adapter: {
    readonly relativeDifference: number;
    readonly worstLayer: number;
    readonly cosine: number;
  };
  readonly versions: Readonly<Record<string, string>>;
};

const missing = missingPackages(values.python);
if (missing === undefined) process.exitCode = await compare();
else process.stdout.write(`skipped: ${missing}\n`);

async function compare(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "zephyr-parity-"));
  try {
    const libraries = cpuLibraries();
    const small = { nLayer: 3, nEmbd: 96, nHead: 6, nHeadKv: 2, headDim: 16, nFf: 160 };
    const shape = writeModel(folder, libraries, small, VOCABULARY);
    const options = {
      ...DPO_DEFAULTS,
      learningRate: 4e-3,
      warmupRatio: 0,
      batchSize: BATCH,
      maxTokensPerBatch: 512,
    };
    const scenario: Scenario = { shape, lora: LORA, options, threads: Number(values.threads) };
    const pairs = drawPairs(STEPS * BATCH, VOCABULARY, (random) => [
      4 + random.below(30),
      2 + random.below(40),
      2 + random.below(40),
    ]);
    const own = await trainOwn(folder, libraries, scenario, pairs);
    writeRequest(folder, scenario, own.steps);
    const theirs = runTrl(folder);
    const scored = own.steps.flat().slice(0, theirs.trainedLogps.length / 2);
    const imported = await importedLogps(folder, libraries, scenario, scored);
    const exchanged = {
      "our adapter, as PEFT loads it": farthest(own.logps, theirs.exportedLogps),
      "PEFT's adapter, as imported here": farthest(imported, theirs.trainedLogps),
    };
    return report(own, theirs, exchanged);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runTrl(folder: string): Theirs {
  const { status, stderr } = spawnSync(values.python, [TRL_SCRIPT, "compare", folder], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`TRL's side failed:\n${stderr}`);
  return JSON.parse(readFileSync(join(folder, "trl.json"), "utf8"));
}

/** The largest relative difference between a log-probability here and there. */
function farthest(own: readonly number[], theirs: readonly number[]): number {
  const differences = theirs.map((logp, i) => Math.abs((own[i] ?? Number.NaN) / logp - 1));
  return differences.length === 0 ? Number.NaN : Math.max(...differences);
}

function report(own: OwnRun, theirs: Theirs, exchanged: Readonly<Record<string, number>>): number {
  print(
    `versions: ${Object.entries(theirs.versions)
      .map((entry) => entry.join(" "))
      .join(", ")}`,
  );
  print("");
  print("| step | loss here | loss in TRL | relative difference |");
  print("|---|---|---|---|");
  const differences = own.losses.map((loss, i) => {
    const other = theirs.losses[i] ?? Number.NaN;
    const difference = Math.abs(loss - other) / Math.abs(other);
    print(
      `| ${i + 1} | ${loss.toFixed(7)} | ${other.toFixed(7)} | ${difference.toExponential(1)} |`,
    );
    return difference;
  });
  const worst = Math.max(...differences);
  const { relativeDifference, worstLayer, cosine } = theirs.adapter;
  print("");
  print(`largest relative difference of a loss: ${worst.toExponential(2)} (limit ${LOSS_LIMIT})`);
  print(
    `adapter's update, |here − TRL| / |TRL|: ${relativeDifference.toExponential(2)}, worst layer ${worstLayer.toExponential(2)} (limit ${ADAPTER_LIMIT}), cosine ${cosine.toFixed(9)}`,
  );
  for (const [what, difference] of Object.entries(exchanged)) {
    print(
      `log p of completions, ${what}: ${difference.toExponential(2)} apart (limit ${LOGP_LIMIT})`,
    );
  }
  // Written so that NaN fails.
  const isWhole = theirs.losses.length === STEPS;
  const isExchanged = Object.values(exchanged).every((difference) => difference < LOGP_LIMIT);
  const agrees = isWhole && isExchanged && worst < LOSS_LIMIT && worstLayer < ADAPTER_LIMIT;
  print(agrees ? "agrees" : "DISAGREES");
  return agrees ? 0 : 1;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
