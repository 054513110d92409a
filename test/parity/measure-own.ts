/**
 * One measurement of this trainer for `measure.ts`, in a process of its own: seconds of each DPO step and the
 * process's peak memory, as a JSON line.
 *
 *   node test/parity/measure-own.ts <folder> <f32 | bf16>
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sourceOf } from "#trainer/data/example-source.ts";
import { preferenceLoss } from "#trainer/run/pair-loss.ts";
import { splitReference } from "#trainer/run/preparation.ts";
import { referenceLogps } from "#trainer/run/reference.ts";
import { cpuLibraries } from "../model/libraries.ts";
import { openScenario } from "./own-run.ts";
import { exampleOf, readRequest } from "./scenario.ts";

const [folder = "", precision = "bf16"] = process.argv.slice(2);
const { scenario, steps } = readRequest(folder);
const { options } = scenario;
using model = openScenario(folder, cpuLibraries(), scenario, precision === "f32" ? "f32" : "bf16");
const examples = steps.map((step) => step.map(exampleOf));
using reference = await referenceLogps({
  model,
  modelSha256: precision,
  sources: [sourceOf(examples.flat())],
  maxTokensPerBatch: options.maxTokensPerBatch,
  cachePath: join(folder, `reference-${process.pid}.db`),
});
if (reference === undefined) throw new Error("nothing aborts this run");
const loss = preferenceLoss(splitReference(reference, options), options);
const seconds: number[] = [];
const cpuSeconds: number[] = [];
for (const step of examples) {
  const start = performance.now();
  const cpu = process.cpuUsage();
  const weigh = loss(step);
  await model.forwardBackward(
    step.flatMap(({ sequences }) => sequences),
    (logps) => weigh(step, logps).gradients,
  );
  const norm = model.gradientNorm();
  model.step({ ...options, gradientScale: Math.min(1, options.maxGradientNorm / norm) });
  seconds.push((performance.now() - start) / 1000);
  const { user, system } = process.cpuUsage(cpu);
  cpuSeconds.push((user + system) / 1e6);
}
const status = readFileSync("/proc/self/status", "utf8");
const peakMegabytes = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
process.stdout.write(`${JSON.stringify({ seconds, cpuSeconds, peakMegabytes })}\n`);
