/**
 * One measurement for `data.ts`, in a process of its own: reads the pairs that `writeDataFiles` wrote, encodes them
 * into a store, sealed for the people whose words they are, goes through a whole epoch, and prints its memory.
 *
 *   node --expose-gc test/bench/data-child.ts <pairs> <folder>
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hashFile } from "#engine/base/file-hash.ts";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { EpochBatches } from "#trainer/data/batches.ts";
import { ExampleStore } from "#trainer/data/example-store.ts";
import { pairsOfFile } from "#trainer/data/pair-file.ts";
import type { PreferencePair } from "#trainer/data/preference.ts";
import { KeyRing } from "#trainer/feedback/key-ring.ts";
import { storedPairs } from "#trainer/run/dpo.ts";
import { cpuLibraries } from "../model/libraries.ts";
import { modelIn, pairsIn } from "./data-files.ts";

const BATCH = 16;
const PEOPLE = 500;

const [countText = "1000", folder = "."] = process.argv.slice(2);
const count = Number(countText);
const libraries = cpuLibraries();
const modelPath = modelIn(folder);
const modelSha256 = await hashFile(modelPath);
using vocabulary = Vocabulary.open(modelPath, libraries);
using keys = KeyRing.open({ DATA_DIR: folder });
using store = ExampleStore.open(join(folder, `examples-${count}.db`), keys);
const liveBefore = liveBytes();
const startMs = performance.now();
const limits = { maxTokens: 256, maxPromptTokens: 128 };
const pairs = ofPeople(pairsOfFile(pairsIn(folder, count)));
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

/** Each pair with the words of one or two of the people. */
function* ofPeople(given: Iterable<PreferencePair>): Generator<PreferencePair> {
  let index = 0;
  for (const pair of given) {
    const personKeys = [index % PEOPLE, (index * 7) % PEOPLE].map((person) => `person ${person}`);
    yield { ...pair, personKeys };
    index += 1;
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
