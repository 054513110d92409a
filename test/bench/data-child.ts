/**
 * One measurement for `data.ts`, in a process of its own: reads pairs from a file of JSON lines, encodes them
 * into a store, goes through a whole epoch, and prints its memory.
 *
 *   node --expose-gc test/bench/data-child.ts <pairs> <folder>
 */
import { createWriteStream, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { EpochBatches } from "#trainer/data/batches.ts";
import { ExampleStore } from "#trainer/data/example-store.ts";
import { pairsOfFile } from "#trainer/data/pair-file.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { storedPairs } from "#trainer/run/dpo.ts";
import { cpuLibraries } from "../model/libraries.ts";
import { writeRandomModel } from "../model/random-model.ts";

const BATCH = 16;
const WORDS = "the hello you and ing or is en it on at he we tea rain chess bread".split(" ");

const [countText = "1000", folder = "."] = process.argv.slice(2);
const count = Number(countText);
mkdirSync(folder, { recursive: true });
const path = join(folder, `pairs-${count}.jsonl`);
if (!existsSync(path)) await pipeline(lines(count), createWriteStream(path));
const modelPath = join(folder, "model.gguf");
const libraries = cpuLibraries();
const { sha256: modelSha256 } = writeRandomModel(modelPath, { libraries });
using vocabulary = Vocabulary.open(modelPath, libraries);
using store = ExampleStore.open(join(folder, `examples-${count}.db`));
const liveBefore = liveBytes();
const startMs = performance.now();
const limits = { maxTokens: 256, maxPromptTokens: 128 };
const pairs = pairsOfFile(path);
const outcome = await store.fill(storedPairs({ vocabulary, pairs, modelSha256 }, limits));
const filledMs = performance.now() - startMs;
const batches = new EpochBatches(store, BATCH, 1);
let tokens = 0;
for (let i = 0; i < batches.batchesPerEpoch; i++) {
  for (const place of batches.next()) {
    for (const sequence of store.read(place).sequences) tokens += sequence.tokens.length;
  }
}
const epochMs = performance.now() - startMs - filledMs;
const figures = {
  pairs: store.count,
  encoded: outcome?.encoded,
  tokens,
  peakMegabytes: Math.round(peakKilobytes() / 1024),
  liveKilobytes: Math.round((liveBytes() - liveBefore) / 1024),
  encodeSeconds: Number((filledMs / 1000).toFixed(1)),
  epochSeconds: Number((epochMs / 1000).toFixed(1)),
};
process.stdout.write(`${JSON.stringify(figures)}\n`);

function* lines(total: number): Generator<string> {
  const random = SeededRandom.from(1);
  const words = (most: number) =>
    Array.from({ length: 1 + random.below(most) }, () => WORDS[random.below(WORDS.length)]).join(
      " ",
    );
  for (let i = 0; i < total; i++) {
    const prompt = [{ role: "user", content: `${i}: ${words(10)}?` }];
    yield `${JSON.stringify({ id: `pair ${i}`, prompt, chosen: words(12), rejected: `${words(12)}!` })}\n`;
  }
}

/** What JavaScript holds and cannot let go; NaN without `--expose-gc`. */
function liveBytes(): number {
  if (globalThis.gc === undefined) return Number.NaN;
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Most memory that this process has had so far (Linux), else what it has now. */
function peakKilobytes(): number {
  if (process.platform !== "linux") return process.memoryUsage.rss() / 1024;
  const status = readFileSync("/proc/self/status", "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN);
}
