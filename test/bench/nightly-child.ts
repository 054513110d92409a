/**
 * One measurement for `nightly.ts`, in a process of its own: all that a night does with its feedback before and
 * after training but for the model's word: reading the log, building the pairs, storing them sealed, reading them back,
 * asking whether all of it may still be learnt from. Prints its memory.
 *
 *   node test/bench/nightly-child.ts <data folder>
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "#engine/base/clock.ts";
import { parseConfig } from "#engine/base/config.ts";
import { KeyRing } from "#trainer/feedback/key-ring.ts";
import { eligibility } from "#trainer/nightly/data-stage.ts";
import { readFeedback } from "#trainer/nightly/read-feedback.ts";
import { buildDataset, readDataset, storeDataset } from "#trainer/pairs/dataset.ts";

const [dataDir = "."] = process.argv.slice(2);
const config = parseConfig({ DATA_DIR: dataDir });
const startMs = performance.now();
using keys = KeyRing.open(config);
const folder = join(dataDir, "run");
mkdirSync(folder, { recursive: true });
await build();
const { manifest, train, evidence } = readDataset(folder, keys);
let characters = 0;
for (const { chosen, rejected } of train) characters += chosen.length + rejected.length;
const verdict = eligibility({ evidence }, { config, clock: systemClock });
const figures = {
  pairs: manifest.trainPairs + manifest.heldOutPairs,
  left: manifest.dropped["enough_newer"] ?? 0,
  characters,
  verdict,
  peakMegabytes: Math.round(peakKilobytes() / 1024),
  seconds: Number(((performance.now() - startMs) / 1000).toFixed(1)),
};
process.stdout.write(`${JSON.stringify(figures)}\n`);

/** The model's words are left out: it keeps all, and writes nothing fresh. */
async function build(): Promise<void> {
  const feedback = readFeedback(config, systemClock.nowMs());
  const dataset = await buildDataset(feedback, {
    takesLone: false,
    nameOf: (id) => keys.digest(id).toString("hex"),
    cap: { share: 0.1, atLeast: 64 },
    fresh: {
      sample: () => Promise.resolve({ text: "", ended: false, tokens: 0 }),
      judge: () => Promise.resolve("undecided"),
      limit: 200,
      atOnce: 16,
    },
    screen: {
      allowsAnswer: () => Promise.resolve(true),
      allowsPrompt: () => Promise.resolve(true),
      bareAnswer: () => Promise.resolve("an answer"),
      refuses: () => Promise.resolve(false),
      atOnce: 16,
    },
  });
  storeDataset(folder, dataset, keys);
}

/** Most memory that this process has had so far (Linux), else what it has now. */
function peakKilobytes(): number {
  if (process.platform !== "linux") return process.memoryUsage.rss() / 1024;
  const status = readFileSync("/proc/self/status", "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN);
}
