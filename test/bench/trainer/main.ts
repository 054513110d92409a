/**
 * The trainer's DPO steps: tokens a second, share of the BF16 mul_mat rate that the same machine reached right
 * before each step, padding, peak memory beside its plan; for nano and 60 M shapes, and for 7 G on a GPU.
 *
 *   npm run bench:trainer -- [--threads 2] [--steps 8] [--only 60] [--gpu auto|cuda|vulkan|metal|cpu] [--profile [--shapes]]
 */
import { execFileSync } from "node:child_process";
import { availableParallelism, cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { chooseBuild } from "#engine/llama/gpu-build.ts";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { loadLibraries } from "#engine/native/library.ts";
import { packBatch } from "#trainer/model/batch.ts";
import { planMemory, sizesOf } from "#trainer/model/memory-plan.ts";
import { type Measurement, measure, profile, randomPairs } from "./measure.ts";
import { SUBJECTS, type Subject } from "./subjects.ts";

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: String(Math.min(2, availableParallelism())) },
    steps: { type: "string", default: "8" },
    only: { type: "string", default: "" },
    gpu: { type: "string", default: "cpu" },
    profile: { type: "boolean", default: false },
    shapes: { type: "boolean", default: false },
    /** Set by this command itself: measures one subject and prints JSON. */
    child: { type: "string" },
  },
});
const kind = (["auto", "cuda", "vulkan", "metal", "cpu"] as const).find(
  (each) => each === values.gpu,
);
if (kind === undefined) throw new Error("--gpu is auto, cuda, vulkan, metal or cpu");
const build = await chooseBuild(kind);
const options = {
  libraries: loadLibraries(build.folder),
  threads: Number(values.threads),
  steps: Number(values.steps),
};

if (values.child === undefined) main();
else if (values.profile) await printProfile(subjectOf(values.child));
else print(JSON.stringify(await measure(subjectOf(values.child), options)));

function main(): void {
  const machine = `${cpus()[0]?.model ?? "unknown"}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  print(`machine: ${machine}; ${values.threads} threads; adapters of rank 16 on all linear layers`);
  print(`command: npm run bench:trainer -- ${process.argv.slice(2).join(" ")}`);
  print("");
  print(
    "| model | products | batch (pairs × 2 × tokens) | DPO tok/s | ms a step | of the BF16 mul_mat rate | by processor time | GFLOP/s | padding | peak MB | planned MB |",
  );
  print("|---|---|---|---|---|---|---|---|---|---|---|");
  for (const [index, subject] of SUBJECTS.entries()) {
    if (!subject.name.includes(values.only)) continue;
    if (values.profile) print(runChild(index));
    else print(row(index, subject));
  }
}

function row(index: number, subject: Subject): string {
  const batch = `${subject.pairs} × 2 × ${subject.varied ? "≤ " : ""}${subject.tokens}`;
  const planned = `${Math.round(plannedBytes(subject) / 1e6)}`;
  const head = [subject.name, subject.precision, batch];
  if (subject.needsGpu && build.kind === "cpu") {
    const rest = ["not run: no GPU", ...Array(6).fill("–"), planned];
    return `| ${[...head, ...rest].join(" | ")} |`;
  }
  const found: Measurement = JSON.parse(runChild(index));
  const figures = [
    Math.round(found.tokensPerSecond),
    Math.round(found.stepMs),
    percent(found.share),
    percent(found.shareOfCpuTime),
    Math.round(found.gflops),
    percent(found.padding),
    Math.round(found.peakBytes / 1e6),
    planned,
  ];
  return `| ${[...head, ...figures].join(" | ")} |`;
}

/** What `planMemory` says of the very batch that is measured; a night plans for the largest that it may meet. */
function plannedBytes(subject: Subject): number {
  const { shape, weights, lora, precision, pairs, tokens, needsGpu } = subject;
  const { libraries, threads } = options;
  return planMemory({
    source: sizesOf(shape, libraries, () => GGML_TYPE[weights]),
    shape,
    lora,
    precision,
    threads,
    libraries,
    forGpu: needsGpu,
    maxTokensPerBatch: 2 * pairs * tokens,
    maxTokens: tokens,
    batch: packBatch(randomPairs(subject), shape.nVocab).shape,
  }).total;
}

async function printProfile(subject: Subject): Promise<void> {
  const profiled = await profile(subject, { ...options, byShape: values.shapes });
  const rows = [...profiled].toSorted((a, b) => b[1] - a[1]);
  const total = rows.reduce((sum, [, ms]) => sum + ms, 0);
  print(`${subject.name}, ${subject.precision}: ${Math.round(total)} ms of processor time a step`);
  for (const [operator, ms] of rows) {
    print(
      `  ${operator.padEnd(16)}${ms.toFixed(1).padStart(8)} ms ${percent(ms / total).padStart(6)}`,
    );
  }
}

function runChild(index: number): string {
  const settings = ["threads", "steps", "gpu"] as const;
  const flags = settings.flatMap((name) => [`--${name}`, values[name]]);
  if (values.profile) flags.push("--profile");
  if (values.shapes) flags.push("--shapes");
  return execFileSync(process.execPath, [import.meta.filename, "--child", `${index}`, ...flags], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  }).trimEnd();
}

function subjectOf(index: string): Subject {
  const subject = SUBJECTS[Number(index)];
  if (subject === undefined) throw new RangeError(`there is no subject ${index}`);
  return subject;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
