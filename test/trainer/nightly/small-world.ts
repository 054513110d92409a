/** A data folder with a small random model and scripted feedback, for the tests of whole runs. */
import { closeSync, mkdtempSync, openSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GgufFile } from "#engine/native/gguf.ts";
import { feedbackPath } from "#trainer/feedback/log.ts";
import type { LlamaShape } from "#trainer/gguf/llama-shape.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { logOf, type Said } from "../pairs/feedback-fixture.ts";

/** Where everything lies, and the settings that lead there. */
export type SmallWorld = {
  readonly dataDir: string;
  readonly modelPath: string;
  readonly shape: LlamaShape;
  readonly settings: Readonly<Record<string, string>>;
};

/** Questions, each with an answer that everybody likes and one that everybody dislikes. */
export function taste(
  questions: number,
  likes = "hello you and the",
  dislikes = "re on er",
): Said[] {
  return Array.from({ length: questions }, (_, index): Said[] => [
    {
      asked: `What is number ${index}?`,
      answer: `${likes} ${index}`,
      says: { [`rater ${index % 5}`]: "👍" },
    },
    {
      asked: `What is number ${index}?`,
      answer: `${dislikes} ${index}`,
      says: { [`rater ${(index + 1) % 5}`]: "👎" },
    },
  ]).flat();
}

/**
 * Makes the folder.
 * @param silent whether the model ends every answer at once, so that training cannot make its answers
 *   worse and the gate admits what learns the taste; otherwise it babbles, training makes it loop
 *   more, and the gate refuses
 */
export function smallWorld(said: readonly Said[], silent = true): SmallWorld {
  const dataDir = mkdtempSync(join(tmpdir(), "world-"));
  const modelPath = join(dataDir, "random.gguf");
  const { shape } = writeRandomModel(modelPath, {
    libraries: cpuLibraries(),
    shape: { nLayer: 2, nEmbd: 32, nHead: 4, nHeadKv: 2, headDim: 8, nFf: 48, contextTokens: 512 },
  });
  if (silent) silence(modelPath);
  logOf(said, feedbackPath(dataDir), Date.now()).close();
  return {
    dataDir,
    modelPath,
    shape,
    settings: {
      DATA_DIR: dataDir,
      MODEL: modelPath,
      GPU: "cpu",
      THREADS: "1",
      // Leaves some tens of tokens to each answer behind the system prompt.
      CONTEXT_TOKENS: "330",
      STREAMS: "16",
      ENGINE_URL: "http://127.0.0.1:9",
    },
  };
}

/** `</s>` in the random models' vocabulary */
const EOS = 2;

/**
 * Makes `</s>` the likeliest token everywhere: the first dimension is the same for every token, and
 * only `</s>` is read off it.
 */
function silence(modelPath: string): void {
  using file = GgufFile.open(modelPath, cpuLibraries());
  const first = (name: string, value: (row: number) => number): void => {
    const tensor = file.tensor(name);
    if (tensor === undefined) throw new Error(`no ${name}`);
    const bytes = file.readTensor(tensor);
    const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    const [width = 1, rows = 1] = tensor.ne;
    for (let row = 0; row < rows; row++) values[row * width] = value(row);
    const target = openSync(modelPath, "r+");
    writeSync(target, bytes, 0, bytes.length, tensor.offset);
    closeSync(target);
  };
  first("token_embd.weight", () => 6);
  first("output.weight", (row) => (row === EOS ? 4 : 0));
}
