/**
 * DPO tokens a second and peak memory of this trainer beside TRL's with PEFT, on the same model (58 M parameters,
 * 32 k vocabulary) and pairs (2 × 512 tokens, the first half a shared prompt), one pair a step. Each measurement is
 * a process of its own, and the two take turns. For Linux with the Python packages of `main.ts`.
 *
 *   node test/parity/measure.ts [--python /path/to/python] [--rounds 3] [--steps 6] [--threads 2]
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DPO_DEFAULTS } from "#trainer/run/dpo.ts";
import { cpuLibraries } from "../model/libraries.ts";
import { openScenario, writeAdapter } from "./own-run.ts";
import { missingPackages, TRL_SCRIPT } from "./python.ts";
import { drawPairs, LORA, type Scenario, writeModel, writeRequest } from "./scenario.ts";

const { values } = parseArgs({
  options: {
    python: { type: "string", default: "python3" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "6" },
    threads: { type: "string", default: String(Math.min(2, availableParallelism())) },
  },
});
const THREADS = Number(values.threads);
const STEPS = Number(values.steps);
const OWN = join(import.meta.dirname, "measure-own.ts");
const SHAPE = { nLayer: 8, nEmbd: 512, nHead: 8, nHeadKv: 4, headDim: 64, nFf: 1408 };
const VOCABULARY = 32_000;
const HALF = 256;
/** Of one pair. */
const TOKENS = 4 * HALF;

type Measurement = {
  readonly seconds: readonly number[];
  /** Of all processors: a busy machine changes them less. */
  readonly cpuSeconds: readonly number[];
  readonly peakMegabytes: number;
};

const SUBJECTS: readonly (readonly [string, (folder: string) => Measurement])[] = [
  ["here, BF16 products", (folder) => own(folder, "bf16")],
  ["TRL, F32, reference computed before", (folder) => trl(folder, "precompute")],
  ["here, F32 products", (folder) => own(folder, "f32")],
  ["TRL, F32, reference in each step (its default)", (folder) => trl(folder)],
  [
    "TRL, F32, reference before, gradient checkpointing (its default)",
    (folder) => trl(folder, "precompute", "checkpointing"),
  ],
];

const missing = missingPackages(values.python);
if (missing === undefined) measureAll();
else process.stdout.write(`skipped: ${missing}\n`);

function measureAll(): void {
  const folder = mkdtempSync(join(tmpdir(), "zephyr-measure-"));
  try {
    prepare(folder);
    const results = new Map<string, Measurement[]>(SUBJECTS.map(([name]) => [name, []]));
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [name, measure] of SUBJECTS) {
        const measured = measure(folder);
        results.get(name)?.push(measured);
        // A busy machine takes long: who stops it early has what was measured until then.
        process.stderr.write(`${row(name, [measured])}\n`);
      }
    }
    print(
      `machine: ${cpus()[0]?.model}, ${THREADS} threads; ${values.rounds} rounds of ${STEPS} steps, the first of each left out`,
    );
    print("");
    print(
      "| trainer | DPO tok/s, median | slowest and fastest round | tok per processor second | peak memory, MB |",
    );
    print("|---|---|---|---|---|");
    for (const [name, measured] of results) print(row(name, measured));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function prepare(folder: string): void {
  const libraries = cpuLibraries();
  const shape = writeModel(folder, libraries, { ...SHAPE, contextTokens: 1024 }, VOCABULARY);
  const options = { ...DPO_DEFAULTS, learningRate: 1e-4, batchSize: 1, maxTokensPerBatch: TOKENS };
  const lora = { ...LORA, rank: 16, alpha: 32 };
  const scenario: Scenario = { shape, lora, options, threads: THREADS };
  const pairs = drawPairs(STEPS, VOCABULARY, () => [HALF, HALF, HALF]);
  writeRequest(
    folder,
    scenario,
    pairs.map((pair) => [pair]),
  );
  using model = openScenario(folder, libraries, scenario, "f32");
  writeAdapter(folder, "initial.gguf", libraries, scenario, model);
}

function own(folder: string, precision: string): Measurement {
  return lastLine(execFileSync(process.execPath, [OWN, folder, precision], { encoding: "utf8" }));
}

function trl(folder: string, ...flags: readonly string[]): Measurement {
  const stdio = ["ignore", "pipe", "ignore"] as const;
  const given = [TRL_SCRIPT, "measure", folder, ...flags];
  return lastLine(execFileSync(values.python, given, { encoding: "utf8", stdio: [...stdio] }));
}

function lastLine(output: string): Measurement {
  return JSON.parse(output.trim().split("\n").at(-1) ?? "");
}

function row(name: string, measured: readonly Measurement[]): string {
  // The first step builds graphs here and fills caches there.
  const rounds = measured.map(({ seconds }) => TOKENS / median(seconds.slice(1)));
  const peak = Math.max(...measured.map(({ peakMegabytes }) => peakMegabytes));
  const perCpuSecond = measured.map(({ cpuSeconds }) => TOKENS / median(cpuSeconds.slice(1)));
  const range = [Math.min(...rounds), Math.max(...rounds)].map(Math.round).join("–");
  return `| ${[name, Math.round(median(rounds)), range, Math.round(median(perCpuSecond)), Math.round(peak)].join(" | ")} |`;
}

function median(given: readonly number[]): number {
  const sorted = given.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
