/** A data folder with a small random model and scripted feedback, for the tests of whole runs. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { feedbackPath } from "#trainer/feedback/log.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { logOf, type Said } from "../pairs/feedback-fixture.ts";

/** Where everything lies, and the settings that lead there. */
export type SmallWorld = {
  readonly dataDir: string;
  readonly modelPath: string;
  readonly settings: Readonly<Record<string, string>>;
};

/** Questions, each with an answer that everybody likes and one that everybody dislikes. */
export function taste(questions: number, likes = "hello you and the", dislikes = "re on er"): Said[] {
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

/** Makes the folder. */
export function smallWorld(said: readonly Said[]): SmallWorld {
  const dataDir = mkdtempSync(join(tmpdir(), "world-"));
  const modelPath = join(dataDir, "random.gguf");
  writeRandomModel(modelPath, {
    libraries: cpuLibraries(),
    shape: { nLayer: 2, nEmbd: 32, nHead: 4, nHeadKv: 2, headDim: 8, nFf: 48, contextTokens: 512 },
  });
  logOf(said, feedbackPath(dataDir)).close();
  return {
    dataDir,
    modelPath,
    settings: {
      DATA_DIR: dataDir,
      MODEL: modelPath,
      GPU: "cpu",
      THREADS: "1",
      // Leaves some tens of tokens to each answer behind the system prompt.
      CONTEXT_TOKENS: "380",
      STREAMS: "16",
      ENGINE_URL: "http://127.0.0.1:9",
    },
  };
}
