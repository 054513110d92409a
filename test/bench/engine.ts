/**
 * Times serving: tokens a second and time to first token at several numbers of concurrent people, each sending three
 * requests one after the other. Repeats are interleaved, figures are medians of them.
 *
 *   npm run bench:engine -- [model.gguf | random] [--streams 1,8,32] [--threads 1] [--repeat 3] [--requests 3]
 *     --http               over HTTP with SSE, the engine in a process of its own, instead of the decode loop alone
 *     --vs llama-server    the same beside llama-server, built once from the source that node-llama-cpp carries, and at
 *                          one person beside libllama's decodes alone, the bound of both
 *     --system 300         a shared system prompt; without --vs also one of the same length for each chat, evaluated anew
 *     --adapters           all streams on one adapter, and half of them on each of two
 *     --cells auto|sequences|pool   --kv f16|q8_0   --batch 128
 */
import { rmSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { type LoopCase, type LoopTiming, timeLoop } from "./serving/in-process.ts";
import {
  type Contender,
  timeVersus,
  type VersusResult,
  type VersusTiming,
} from "./serving/versus.ts";
import {
  ANSWER_TOKENS,
  median,
  PROMPT_TOKENS,
  quantile,
  type SystemPrompt,
  scratchFolder,
  writeBenchModel,
} from "./serving/workload.ts";

const NANO = join(import.meta.dirname, "../../deploy/models/nano/nano.gguf");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    streams: { type: "string", default: "1,8,32" },
    threads: { type: "string", default: "1" },
    repeat: { type: "string", default: "3" },
    requests: { type: "string", default: "3" },
    system: { type: "string" },
    batch: { type: "string" },
    cells: { type: "string", default: "auto" },
    kv: { type: "string", default: "f16" },
    adapters: { type: "boolean", default: false },
    http: { type: "boolean", default: false },
    vs: { type: "string" },
  },
});
const settings = {
  streams: values.streams.split(",").map(Number),
  threads: Number(values.threads),
  repeats: Number(values.repeat),
  requestsEach: Number(values.requests),
  systemTokens: values.system === undefined ? undefined : Number(values.system),
  cacheSetting: z.enum(["auto", "sequences", "pool"]).parse(values.cells),
  cacheType: z.enum(["f16", "q8_0"]).parse(values.kv),
  batch: values.batch === undefined ? {} : { batchTokens: Number(values.batch) },
  rival: z.literal("llama-server").optional().parse(values.vs),
};
const tell = (text: string) => process.stderr.write(`${text}\n`);

const folder = scratchFolder();
try {
  // Both servers get the same file; without one of its own, a benchmark against another has the random one.
  const isRandom =
    positionals[0] === "random" || (positionals[0] === undefined && values.vs !== undefined);
  const modelPath = isRandom ? await writeBenchModel(folder) : (positionals[0] ?? NANO);
  describe(isRandom ? "random weights, 57.9 M parameters, Q8_0" : modelPath);
  if (values.http || settings.rival !== undefined) await reportHttp(modelPath);
  else await reportLoop(modelPath);
} finally {
  rmSync(folder, { recursive: true });
}

function describe(model: string): void {
  const processors = cpus();
  print(
    `machine  ${processors[0]?.model ?? "unknown"}, ${processors.length} logical processors, ${settings.threads} engine threads`,
    `model    ${model}`,
    `command  npm run bench:engine -- ${process.argv.slice(2).join(" ")}`,
    `load     unique prompts of ${PROMPT_TOKENS} tokens${settings.systemTokens === undefined ? "" : ` behind a system prompt of ${settings.systemTokens}`}, up to ${ANSWER_TOKENS} tokens each, temperature 0.8, top-k 40, ${settings.requestsEach} requests a person; medians of ${settings.repeats}`,
    "",
  );
}

async function reportLoop(modelPath: string): Promise<void> {
  const cases = settings.streams.flatMap((streams) => loopCases(modelPath, streams));
  const runs = cases.map(() => [] as LoopTiming[]);
  for (let repeat = 0; repeat < settings.repeats; repeat += 1) {
    for (const [i, one] of cases.entries()) {
      const timing = await timeLoop(one.run);
      runs[i]?.push(timing);
      tell(`${one.run.streams} ${one.name}: ${timing.tokensPerSecond.toFixed(0)} tokens/s`);
    }
  }
  print(
    runs[0]?.[0]?.device ?? "",
    "",
    "| people | case | tokens/s | tokens a processor second | first token p50/p95 ms | micro-batches a decode | sequences a decode | longest block ms |",
    "|---|---|---|---|---|---|---|---|",
    ...cases.map(({ name, run }, i) => loopRow(run.streams, name, runs[i] ?? [])),
    "",
    ...ratios(cases, runs),
  );
}

type NamedCase = { readonly name: string; readonly run: LoopCase };

function loopCases(modelPath: string, streams: number): readonly NamedCase[] {
  const { threads, cacheSetting, cacheType, batch, systemTokens } = settings;
  const { requestsEach } = settings;
  const plain = {
    ...{ modelPath, streams, threads, requestsEach },
    ...{ cacheSetting, cacheType, ...batch, adapters: 0 },
  };
  if (values.adapters) {
    return [
      { name: "one adapter", run: { ...plain, adapters: 1 } },
      { name: "two adapters", run: { ...plain, adapters: 2 } },
    ];
  }
  if (systemTokens === undefined) return [{ name: "", run: plain }];
  const system = (kind: SystemPrompt["kind"]) => ({ tokens: systemTokens, kind });
  return [
    { name: "system prompt of each chat", run: { ...plain, system: system("own") } },
    { name: "shared system prompt", run: { ...plain, system: system("shared") } },
  ];
}

function loopRow(streams: number, name: string, timings: readonly LoopTiming[]): string {
  const of = (figure: (timing: LoopTiming) => number) => median(timings.map(figure));
  return row(
    `${streams}`,
    name,
    of((timing) => timing.tokensPerSecond).toFixed(0),
    thrift(timings).toFixed(0),
    firstToken(timings),
    of((timing) => timing.microBatchesPerDecode).toFixed(2),
    of((timing) => timing.sequencesPerDecode).toFixed(1),
    of((timing) => timing.longestBlockMs).toFixed(1),
  );
}

/** Where a number of streams has two cases: the second against the first. */
function ratios(cases: readonly NamedCase[], runs: readonly (readonly LoopTiming[])[]): string[] {
  return cases.flatMap(({ name, run }, i) => {
    const before = cases[i - 1];
    const [first, second] = [runs[i - 1], runs[i]];
    if (before?.run.streams !== run.streams || first === undefined || second === undefined)
      return [];
    const speed = (timings: readonly LoopTiming[]) =>
      median(timings.map((timing) => timing.tokensPerSecond));
    const ratio = (speed(second) / speed(first)).toFixed(2);
    const wait = (p95(second) / p95(first)).toFixed(2);
    const cost = (thrift(second) / thrift(first)).toFixed(2);
    return [
      `${run.streams} people, ${name} against ${before.name}: ${ratio} × tokens/s, ${cost} × tokens a processor second, ${wait} × first token p95`,
    ];
  });
}

async function reportHttp(modelPath: string): Promise<void> {
  const contenders: readonly Contender[] =
    settings.rival === undefined ? ["engine"] : ["engine", settings.rival];
  const { systemTokens } = settings;
  const { results, bareDecodes } = await timeVersus(
    {
      modelPath,
      streams: settings.streams,
      threads: settings.threads,
      repeats: settings.repeats,
      requestsEach: settings.requestsEach,
      contenders,
      dataDir: join(folder, "data"),
      settings: { KV_CELLS: settings.cacheSetting, KV_TYPE: settings.cacheType, LOG_LEVEL: "warn" },
      ...(systemTokens === undefined ? {} : { system: { tokens: systemTokens, kind: "shared" } }),
    },
    tell,
  );
  print(
    "| people | server | tokens/s (all runs) | tokens a processor second | first token p50/p95 ms | longest gap p95 ms | tokens in/out |",
    "|---|---|---|---|---|---|---|",
    ...results.map(httpRow),
    "",
    ...settings.streams.flatMap((streams) => versus(results, streams)),
    ...bareLine(results, bareDecodes),
  );
}

/** How much of one person's time is libllama's own, which no server can spare. */
function bareLine(results: readonly VersusResult[], bareDecodes: readonly number[]): string[] {
  if (bareDecodes.length === 0) return [];
  const bare = median(bareDecodes);
  const shares = results
    .filter(({ streams }) => streams === 1)
    .map(({ contender, runs }) => {
      const speed = median(runs.map((timing) => timing.tokensPerSecond));
      return `${contender} ${(speed / bare).toFixed(2)} ×`;
    });
  return [
    `1 person, against libllama's decodes alone (${bare.toFixed(0)} tokens/s: no sampling, no server, no text): ${shares.join(", ")}`,
  ];
}

function httpRow({ contender, streams, runs }: VersusResult): string {
  const gaps = median(runs.map((timing) => quantile(timing.longestGapMs, 0.95)));
  const speeds = runs.map((timing) => timing.tokensPerSecond);
  return row(
    `${streams}`,
    contender,
    `${median(speeds).toFixed(0)} (${speeds.map((speed) => speed.toFixed(0)).join(", ")})`,
    thrift(runs).toFixed(0),
    firstToken(runs),
    gaps.toFixed(0),
    `${runs[0]?.promptTokens} / ${runs[0]?.completionTokens}`,
  );
}

function versus(results: readonly VersusResult[], streams: number): string[] {
  const of = (contender: Contender) =>
    results.find((result) => result.streams === streams && result.contender === contender)?.runs;
  const [ours, theirs] = [of("engine"), of("llama-server")];
  if (ours === undefined || theirs === undefined) return [];
  const speed = (runs: readonly VersusTiming[]) =>
    median(runs.map((timing) => timing.tokensPerSecond));
  return [
    `${streams} people, engine against llama-server: ${(speed(ours) / speed(theirs)).toFixed(2)} × tokens/s, ${(thrift(ours) / thrift(theirs)).toFixed(2)} × tokens a processor second, ${(p95(ours) / p95(theirs)).toFixed(2)} × first token p95`,
  ];
}

function thrift(runs: readonly { readonly tokensPerProcessorSecond: number }[]): number {
  return median(runs.map((timing) => timing.tokensPerProcessorSecond));
}

type HasFirstTokens = { readonly firstTokenMs: readonly number[] };

function p95(runs: readonly HasFirstTokens[]): number {
  return median(runs.map(({ firstTokenMs }) => quantile(firstTokenMs, 0.95)));
}

function firstToken(runs: readonly HasFirstTokens[]): string {
  const p50 = median(runs.map(({ firstTokenMs }) => quantile(firstTokenMs, 0.5)));
  return `${p50.toFixed(0)} / ${p95(runs).toFixed(0)}`;
}

function row(...cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function print(...lines: readonly string[]): void {
  process.stdout.write(`${lines.join("\n")}\n`);
}
