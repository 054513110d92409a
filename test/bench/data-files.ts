/** What `data-child.ts` measures, made before, so that making it is no part of the measured memory. */
import { createWriteStream, existsSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { SeededRandom } from "#trainer/data/random.ts";
import { cpuLibraries } from "../model/libraries.ts";
import { writeRandomModel } from "../model/random-model.ts";

const WORDS = "the hello you and ing or is en it on at he we tea rain chess bread".split(" ");

/** The file of so many pairs in a folder of measurements. */
export function pairsIn(folder: string, count: number): string {
  return join(folder, `pairs-${count}.jsonl`);
}

/** The model whose vocabulary encodes them. */
export function modelIn(folder: string): string {
  return join(folder, "model.gguf");
}

/** Makes both where they are not there yet. */
export async function writeDataFiles(folder: string, count: number): Promise<void> {
  const path = pairsIn(folder, count);
  if (!existsSync(path)) await pipeline(lines(count), createWriteStream(path));
  if (!existsSync(modelIn(folder))) {
    writeRandomModel(modelIn(folder), { libraries: cpuLibraries() });
  }
}

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
