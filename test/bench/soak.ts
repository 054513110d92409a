/**
 * Minutes of everything at once over HTTP: many people, random aborts, a swap every 20 seconds, and one crash of the
 * engine's process after which it is started again. Fails when an answer is lost or mixed with another's, or when
 * memory grows.
 *
 *   npm run bench:soak -- [--minutes 5] [--streams 32] [--threads 1] [--swap-every 20] [--steady]
 *
 * `--steady` leaves out the crash, so that one process is seen for all the time; `--swap-every 0` the swaps.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { openRegistry } from "#engine/adapters/registry.ts";
import { isCoded } from "#engine/base/errors.ts";
import { EngineClient } from "#engine/client/engine-client.ts";
import { chooseBuild } from "#engine/llama/gpu-build.ts";
import { loadLibraries } from "#engine/native/library.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { writeRandomAdapter } from "../model/random-adapter.ts";
import { smallVocabulary, writeRandomModel } from "../model/random-model.ts";
import {
  describeCourse,
  type MemorySample,
  sampleMemory,
  slopePerMinute,
} from "./serving/memory-course.ts";
import { startOurEngine } from "./serving/our-engine.ts";
import type { ServerProcess } from "./serving/server-process.ts";
import { Witness } from "./serving/witness.ts";
import { scratchFolder } from "./serving/workload.ts";

const SAMPLE_EVERY_MS = 5_000;
/** Every so many requests one is aborted, on average. */
const ABORT_SHARE = 0.15;
const ABORT_WITHIN_MS = 3_000;
const RETRY_AFTER_MS = 200;
/** Two minutes after the first, which is left out. */
const TELLING_MS = 180_000;
/** MiB a minute. A leaked request, swap or context would be far above; the heap's ups and downs stay below. */
const MOST_GROWTH = 4;
/** With room to grow V8 collects late, and minutes show nothing but that. */
const TIGHT_HEAP = "--max-semi-space-size=2 --max-old-space-size=96";
const SHAPE = { nLayer: 4, nEmbd: 128, nHead: 4, nHeadKv: 2, headDim: 32, nFf: 256 };
/** Keys and values of each layer, in F16. */
const CELL_BYTES = SHAPE.nLayer * SHAPE.nHeadKv * SHAPE.headDim * 2 * 2;
const TOPICS = [
  "tea",
  "the sea",
  "old books",
  "a red door",
  "seven stones",
  "rain",
  "bread",
  "owls",
];

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    streams: { type: "string", default: "32" },
    threads: { type: "string", default: "1" },
    "swap-every": { type: "string", default: "20" },
    steady: { type: "boolean", default: false },
  },
});
const swapEveryMs = Number(values["swap-every"]) * 1000;
const durationMs = Number(values.minutes) * 60_000;
const streams = Number(values.streams);
const folder = scratchFolder();
const dataDir = join(folder, "data");
const tell = (text: string) => process.stdout.write(`${text}\n`);

/** What the people share: where the engine is, and what they saw. */
const state = {
  engine: undefined as ServerProcess | undefined,
  isOver: false,
  isDown: false,
  answers: 0,
  aborted: 0,
  refused: 0,
  brokenByCrash: 0,
  /** Processes before this one. */
  crashes: 0,
  swaps: 0,
};
/** Of each process, in the order in which they lived. */
const memory: MemorySample[][] = [[]];
const problems: string[] = [];

try {
  process.exitCode = (await soak()) ? 0 : 1;
} finally {
  await state.engine?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
}

async function soak(): Promise<boolean> {
  const modelPath = join(folder, "soak.gguf");
  const start = () =>
    startOurEngine({
      modelPath,
      streams,
      contextTokens: 512,
      threads: Number(values.threads),
      dataDir,
      settings: { LOG_LEVEL: "warn", QUEUE_LIMIT: "256", NODE_OPTIONS: TIGHT_HEAP },
    });
  await writeModel(modelPath);
  state.engine = await start();
  await publishAdapters(await baseHash());
  const witness = await Witness.hear(client(), TOPICS, ["base", "one", "two"]);
  const startMs = performance.now();
  const people = Array.from({ length: streams }, (_, person) => converse(person, witness));
  const chores = [...(swapEveryMs > 0 ? [swapInTurn()] : []), watchMemory()];
  // Early, so that what comes after has the time to show whether its memory is flat.
  await setTimeout(durationMs / 4);
  if (!values.steady) await crash(start);
  await setTimeout((durationMs * 3) / 4);
  state.isOver = true;
  await Promise.all([...people, ...chores]);
  return report(witness, (performance.now() - startMs) / 1000);
}

function client(): EngineClient {
  return new EngineClient({ url: state.engine?.url ?? "" });
}

async function writeModel(path: string): Promise<void> {
  const libraries = loadLibraries((await chooseBuild("auto")).folder);
  // Neither single bytes nor an end: answers are plain text of full length.
  const mutedTokens = smallVocabulary().tokens.indexOf("hel");
  writeRandomModel(path, { libraries, mutedTokens, shape: { ...SHAPE, contextTokens: 512 } });
  mkdirSync(dataDir, { recursive: true });
}

async function baseHash(): Promise<string> {
  return (await client().health()).model.sha256;
}

async function publishAdapters(baseSha256: string): Promise<void> {
  const libraries = loadLibraries((await chooseBuild("auto")).folder);
  const registry = openRegistry(dataDir);
  for (const [index, name] of ["one", "two"].entries()) {
    const adapterPath = join(folder, `${name}.gguf`);
    writeRandomAdapter(adapterPath, { libraries, shape: SHAPE, seed: index + 1 });
    await registry.publish({
      name,
      adapterPath,
      manifest: {
        baseSha256,
        parent: null,
        data: { pairs: 1, manifestSha256: "00".repeat(32), fromMs: 0, toMs: 0 },
        hyperparameters: {},
        gate: { passed: true, report: {} },
      },
    });
  }
}

/** Asks, aborts at times, asks again what a crash cut off: until the time is over each question gets its answer. */
async function converse(person: number, witness: Witness): Promise<void> {
  const random = SeededRandom.from(person + 1, 3);
  while (!state.isOver) {
    const topic = Math.floor(random.uniform() * TOPICS.length);
    const isAborting = random.uniform() < ABORT_SHARE;
    const abortAfterMs = Math.floor(random.uniform() * ABORT_WITHIN_MS);
    for (let isAnswered = false; !isAnswered; ) {
      const signal = isAborting ? AbortSignal.timeout(abortAfterMs) : undefined;
      isAnswered = await askOnce(witness, { topic, person, signal });
      if (!isAnswered) await setTimeout(RETRY_AFTER_MS);
    }
  }
}

async function askOnce(
  witness: Witness,
  asked: { topic: number; person: number; signal: AbortSignal | undefined },
): Promise<boolean> {
  const { topic, person, signal } = asked;
  const { crashes } = state;
  const wasDown = state.isDown;
  try {
    const request = witness.request(topic, { guild: `g${person % 5}`, person: `p${person}` });
    const completion = await client().complete({
      ...request,
      ...(signal === undefined ? {} : { signal }),
    });
    const [answer] = completion.answers;
    state.answers += 1;
    const problem = witness.judge(topic, completion.adapter, answer?.text ?? "");
    if (problem !== undefined) problems.push(problem);
    return true;
  } catch (error) {
    if (signal?.aborted === true) {
      state.aborted += 1;
      return true;
    }
    noteFailure(error, wasDown || state.isDown || crashes !== state.crashes);
    return false;
  }
}

function noteFailure(error: unknown, hasCrashed: boolean): void {
  if (isCoded(error, "queue_full")) state.refused += 1;
  else if (hasCrashed) state.brokenByCrash += 1;
  else problems.push(`an answer was lost: ${error instanceof Error ? error.message : error}`);
}

async function swapInTurn(): Promise<void> {
  const order = ["one", "two", "base"];
  for (let turn = 0; !state.isOver; turn += 1) {
    await sleepUnlessOver(swapEveryMs);
    if (state.isOver) return;
    if (state.isDown) continue;
    const { crashes } = state;
    try {
      await client().activate(order[turn % order.length] ?? "base");
      state.swaps += 1;
    } catch (error) {
      const isHurt = state.isDown || crashes !== state.crashes;
      if (!isHurt) problems.push(`a swap failed: ${error}`);
    }
  }
}

/** Ends the process as a fault in native code would, and starts it again on the same data. */
async function crash(start: () => Promise<ServerProcess>): Promise<void> {
  state.isDown = true;
  process.kill(state.engine?.pid ?? 0, "SIGSEGV");
  await state.engine?.[Symbol.asyncDispose]();
  state.engine = await start();
  state.crashes += 1;
  state.isDown = false;
}

async function watchMemory(): Promise<void> {
  let [life, sinceMs] = [0, performance.now()];
  while (!state.isOver) {
    await sleepUnlessOver(SAMPLE_EVERY_MS);
    if (state.engine === undefined || state.isDown) continue;
    if (state.crashes !== life) [life, sinceMs] = [state.crashes, performance.now()];
    const sample = await sampleMemory(state.engine, performance.now() - sinceMs, CELL_BYTES);
    if (sample === undefined || state.isDown) continue;
    memory[life] = [...(memory[life] ?? []), sample];
  }
}

async function sleepUnlessOver(ms: number): Promise<void> {
  for (let left = ms; left > 0 && !state.isOver; left -= 250) await setTimeout(250);
}

async function report(witness: Witness, seconds: number): Promise<boolean> {
  const { queue, backend } = await client().health();
  tell(
    [
      `${seconds.toFixed(0)} s, ${streams} people: ${state.answers} answers checked (${(state.answers / seconds).toFixed(1)}/s), ${state.aborted} aborted, ${state.refused} refused as the queue was full, ${state.brokenByCrash} broken by the crash and asked again, ${state.swaps} swaps`,
      `answers as a quiet engine gives them: ${witness.identical}; parted from it after a common beginning, as batches of another shape round otherwise: ${witness.parted}`,
      ...memory.map(
        (life, index) =>
          `memory of process ${index + 1}, its first minute left out: ${describeCourse(life)}`,
      ),
      `left over: ${JSON.stringify({ queue, backend })}`,
      `problems: ${problems.length}`,
      ...problems.slice(0, 10),
    ].join("\n"),
  );
  return problems.length === 0 && memory.every(isFlat);
}

/** Too short a life shows nothing, which is no leak either: contexts are opened and cells first touched for a while. */
function isFlat(samples: readonly MemorySample[]): boolean {
  const isTelling = (samples.at(-1)?.atMs ?? 0) >= TELLING_MS;
  return !isTelling || slopePerMinute(samples, "lasting").perMinute < MOST_GROWTH;
}
