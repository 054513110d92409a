import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { watch } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { ExampleStore } from "#trainer/data/example-store.ts";
import { FeedbackLog, feedbackPath } from "#trainer/feedback/log.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { begin, end, train } from "./running-trainer.ts";
import { type SmallWorld, smallWorld, taste } from "./small-world.ts";

const [QUESTION, LIKED, DISLIKED] = ["What is number", "hello you and the", "re on er"];
/** A run cut short, its files, and another whole one. */
const RUNS_TIMEOUT_MS = 180_000;

/** What stands in each file of a data folder, by its path; the model's own files hold no words of people. */
function filesIn(folder: string): [string, Buffer][] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".gguf"))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, readFileSync(path)];
    });
}

/** The words as text in either encoding, as base64, and as the tokens that the trainer makes of them. */
function needlesFor(world: SmallWorld): readonly Buffer[] {
  const words = [QUESTION, LIKED, DISLIKED];
  using vocabulary = Vocabulary.open(world.modelPath, cpuLibraries());
  const tokensOf = (content: string) => {
    const tokens = vocabulary.encodeChat([{ role: "user", content }], {
      addGenerationPrompt: true,
    });
    // Without the template's marks around them.
    const first = tokens.length - vocabulary.encodeChat([], { addGenerationPrompt: true }).length;
    return Buffer.from(tokens.slice(first - 14, first - 6).buffer);
  };
  return words.flatMap((said) => [
    Buffer.from(said),
    Buffer.from(said, "utf16le"),
    // Behind whole groups of three bytes base64 is the same wherever a text begins.
    ...[0, 1, 2].map((skip) => {
      const whole = Buffer.from(said.slice(skip));
      return Buffer.from(whole.subarray(0, whole.length - (whole.length % 3)).toString("base64"));
    }),
    tokensOf(`${said} 3?`),
  ]);
}

function found(files: readonly [string, Buffer][], needles: readonly Buffer[]): string[] {
  return files.flatMap(([path, bytes]) =>
    needles.some((one) => bytes.includes(one)) ? [path] : [],
  );
}

/** Starts a run and waits for its first checkpoint, when all that it ever writes beside reports is there. */
async function beginTraining(world: SmallWorld): Promise<ChildProcess> {
  const stop = new AbortController();
  const events = watch(world.dataDir, { recursive: true, signal: stop.signal });
  const child = begin(world);
  for await (const { filename } of events) {
    if (filename?.endsWith(".checkpoint") === true) break;
  }
  return child;
}

/** Kills a run behind its first checkpoint. @returns what it has printed */
async function killInTraining(world: SmallWorld): Promise<string> {
  const child = await beginTraining(world);
  if (child.stderr === null) throw new Error("no pipe");
  const said = text(child.stderr);
  child.kill("SIGKILL");
  await once(child, "exit");
  return said;
}

test(
  "no file of a run, cut short or ended, and no line that it prints holds words of people in the clear, nor their tokens",
  async () => {
    const world = smallWorld(taste(40));
    const needles = needlesFor(world);
    const printed = await killInTraining(world);
    const during = filesIn(world.dataDir);
    expect(during.map(([path]) => path).join()).toMatch(
      /pairs\.jsonl.*examples\.db|examples\.db.*pairs\.jsonl/,
    );
    expect(found(during, needles)).toEqual([]);
    expect(found([["printed", Buffer.from(printed)]], needles)).toEqual([]);

    const { result } = await train(world);
    expect(result["status"]).toBe("published");
    expect(found(filesIn(world.dataDir), needles)).toEqual([]);
  },
  RUNS_TIMEOUT_MS,
);

test("the search finds each of the words where they do lie in the clear", async () => {
  const world = smallWorld(taste(2));
  const needles = needlesFor(world);
  using vocabulary = Vocabulary.open(world.modelPath, cpuLibraries());
  for (const [index, said] of [QUESTION, LIKED, DISLIKED].entries()) {
    const own = needles.slice(6 * index, 6 * index + 6);
    for (const text of [
      `"${said} 3?"`,
      Buffer.from(said, "utf16le"),
      Buffer.from(`ab${said}`).toString("base64"),
    ]) {
      expect(found([["file", Buffer.from(text)]], own)).toHaveLength(1);
    }
    const path = join(world.dataDir, `clear-${index}.db`);
    {
      using store = ExampleStore.open(path);
      const tokens = vocabulary.encodeChat([{ role: "user", content: `${said} 3?` }], {
        addGenerationPrompt: true,
      });
      const sequences = [{ tokens, scored: new Uint8Array(tokens.length).fill(1, 1) }];
      const encode = () => ({ sequences, truncated: false });
      await store.fill([{ id: "clear", weight: 1, key: Buffer.from("k"), encode }]);
    }
    expect(found(filesIn(world.dataDir), own.slice(5)), said).not.toEqual([]);
  }
});

test(
  "once somebody is forgotten, what a run that was cut short left of their words opens no more",
  async () => {
    const world = smallWorld(taste(40));
    await killInTraining(world);
    {
      using log = FeedbackLog.open(feedbackPath(world.dataDir));
      log.forgetPerson("asker");
    }
    const { result } = await train(world);
    expect(result).toMatchObject({ event: "error", code: "data_too_small" });
    const left = filesIn(join(world.dataDir, "runs")).map(([path]) => path);
    expect(left.join()).not.toMatch(/pairs\.jsonl|examples\.db/);
  },
  RUNS_TIMEOUT_MS,
);

test(
  "a run that is at it when somebody asks to be forgotten ends without an adapter, and leaves none of their words",
  async () => {
    const world = smallWorld(taste(40));
    const child = await beginTraining(world);
    const ended = end(child);
    {
      using log = FeedbackLog.open(feedbackPath(world.dataDir));
      log.forgetPerson("asker");
    }
    const { code, result } = await ended;
    expect(result).toMatchObject({ status: "refused", failed: ["deleted_meanwhile"] });
    expect(code).toBe(3);
    const left = filesIn(join(world.dataDir, "runs")).map(([path]) => path);
    expect(left.join()).not.toMatch(/pairs\.jsonl|examples\.db|checkpoint/);
  },
  RUNS_TIMEOUT_MS,
);
