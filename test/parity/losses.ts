/**
 * Compares every loss that TRL's DPOTrainer has, too, with TRL: the loss of each step, on the same weights, pairs and
 * order, as main.ts does for DPO itself; KTO likewise with KTOTrainer; and ORPO and SimPO as functions. Exit code 1 when one disagrees.
 *
 *   npm run parity:losses -- [--python /path/to/python] [--steps 6]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DPO_DEFAULTS, type DpoOptions } from "#trainer/run/dpo.ts";
import { cpuLibraries } from "../model/libraries.ts";
import { compareKto } from "./kto.ts";
import { trainOwn } from "./own-run.ts";
import { comparePureLosses } from "./pure-losses.ts";
import { missingPackages, TRL_SCRIPT } from "./python.ts";
import { drawPairs, LORA, writeModel, writeRequest } from "./scenario.ts";

const { values } = parseArgs({
  options: {
    python: { type: "string", default: "python3" },
    steps: { type: "string", default: "6" },
  },
});
const STEPS = Number(values.steps);
const BATCH = 4;
const VOCABULARY = 600;
const LIMIT = 1e-3;
/** Losses near 0 are compared as if they were this large. */
const LEAST = 1e-2;

const LOSSES: Readonly<Record<string, Partial<DpoOptions>>> = {
  sigmoid: { loss: "sigmoid" },
  robust: { loss: "robust", labelSmoothing: 0.1 },
  hinge: { loss: "hinge" },
  ipo: { loss: "ipo", beta: 1 },
  sigmoid_norm: { loss: "sigmoid_norm", beta: 5 },
  "sigmoid, LD-DPO α ½": { loss: "sigmoid", ldAlpha: 0.5 },
};

const missing = missingPackages(values.python);
if (missing === undefined) process.exitCode = await compareAll();
else process.stdout.write(`skipped: ${missing}\n`);

async function compareAll(): Promise<number> {
  process.stdout.write(
    "| loss | first and last step here | in TRL | largest relative difference |\n|---|---|---|---|\n",
  );
  let agrees = true;
  for (const [name, options] of Object.entries(LOSSES)) {
    agrees = tell(name, await compare(options)) && agrees;
  }
  const { adapter, referencePoints, ...kto } = await compareKto(values.python, STEPS);
  const highest = Math.max(...referencePoints);
  agrees = tell("KTO", kto) && adapter.relativeDifference < LIMIT && highest > 0 && agrees;
  process.stdout.write(
    `KTO's adapter at the end: ${adapter.relativeDifference.toExponential(1)} apart, the worst layer ${adapter.worstLayer.toExponential(1)}; its reference point was ${highest.toFixed(2)} nats at most\n`,
  );
  for (const [name, { loss, gradient }] of Object.entries(comparePureLosses(values.python))) {
    agrees &&= loss < LIMIT && gradient < LIMIT;
    process.stdout.write(
      `${name}, as a function: losses ${loss.toExponential(1)} apart, gradients ${gradient.toExponential(1)}\n`,
    );
  }
  process.stdout.write(agrees ? "agrees\n" : `DISAGREES (limit ${LIMIT})\n`);
  return agrees ? 0 : 1;
}

type Compared = { readonly own: readonly number[]; readonly theirs: readonly number[] };

/** Prints a line; whether both sides agree. */
function tell(name: string, { own, theirs }: Compared): boolean {
  const worst = Math.max(
    ...own.map((loss, i) => {
      const other = theirs[i] ?? Number.NaN;
      return Math.abs(loss - other) / Math.max(LEAST, Math.abs(other));
    }),
  );
  const ends = (losses: readonly number[]) =>
    [losses[0], losses.at(-1)].map((loss) => loss?.toFixed(6)).join(", ");
  process.stdout.write(
    `| ${name} | ${ends(own)} | ${ends(theirs)} | ${worst.toExponential(1)} |\n`,
  );
  // Written so that NaN disagrees.
  return worst < LIMIT && theirs.length === STEPS && own.length === STEPS;
}

async function compare(changes: Partial<DpoOptions>): Promise<Compared> {
  const folder = mkdtempSync(join(tmpdir(), "zephyr-losses-"));
  try {
    const libraries = cpuLibraries();
    const small = { nLayer: 2, nEmbd: 96, nHead: 6, nHeadKv: 2, headDim: 16, nFf: 160 };
    const shape = writeModel(folder, libraries, small, VOCABULARY);
    const options = {
      ...DPO_DEFAULTS,
      learningRate: 4e-3,
      warmupRatio: 0,
      batchSize: BATCH,
      maxTokensPerBatch: 512,
      ...changes,
    };
    const scenario = { shape, lora: LORA, options, threads: 1 };
    const pairs = drawPairs(STEPS * BATCH, VOCABULARY, (random) => [
      4 + random.below(20),
      2 + random.below(30),
      2 + random.below(30),
    ]);
    const { steps, losses } = await trainOwn(folder, libraries, scenario, pairs);
    writeRequest(folder, scenario, steps);
    const { status, stderr } = spawnSync(values.python, [TRL_SCRIPT, "compare", folder], {
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`TRL's side failed:\n${stderr}`);
    return {
      own: losses,
      theirs: JSON.parse(readFileSync(join(folder, "trl.json"), "utf8")).losses,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
