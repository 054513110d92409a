/**
 * Human preference pairs as hh-rlhf writes them, two whole dialogues a line in JSON, gzipped or not; and their split
 * by conversation. It knows no model.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import type { ChatMessage } from "#engine/backends/backend.ts";
import type { PreferencePair } from "#trainer/data/preference.ts";

const lineSchema = z.object({ chosen: z.string(), rejected: z.string() });
const ROLES = { Human: "user", Assistant: "assistant" } as const;

/** Reads the pairs whose dialogues differ in the last answer only; counts the others. */
export function readDialoguePairs(path: string): { pairs: PreferencePair[]; unusable: number } {
  const bytes = readFileSync(path);
  const text = (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const pairs = lines.flatMap((line, index) => {
    const { chosen, rejected } = lineSchema.parse(JSON.parse(line));
    return pairOf(`pair ${index}`, parseDialogue(chosen), parseDialogue(rejected));
  });
  return { pairs, unusable: lines.length - pairs.length };
}

/** Turns of `\n\nHuman: …\n\nAssistant: …`. */
function parseDialogue(text: string): ChatMessage[] {
  const parts = text.split(/\n\n(Human|Assistant):/).slice(1);
  return Array.from({ length: parts.length / 2 }, (_, i) => {
    const role = parts[2 * i] === "Human" ? ROLES.Human : ROLES.Assistant;
    return { role, content: (parts[2 * i + 1] ?? "").trim() };
  });
}

function pairOf(
  id: string,
  chosen: readonly ChatMessage[],
  rejected: readonly ChatMessage[],
): PreferencePair[] {
  const prompt = chosen.slice(0, -1);
  const [better, worse] = [chosen.at(-1), rejected.at(-1)];
  const isSame = JSON.stringify(prompt) === JSON.stringify(rejected.slice(0, -1));
  const isAnswered = better?.role === "assistant" && worse?.role === "assistant";
  if (!isSame || !isAnswered || prompt.at(-1)?.role !== "user") return [];
  if (better.content === "" || worse.content === "" || better.content === worse.content) return [];
  return [{ id, prompt, chosen: better.content, rejected: worse.content, weight: 1 }];
}

/** Pairs to learn from and to choose settings by, and pairs to judge by. */
export type DialogueSplit = Readonly<Record<"learn" | "judge", PreferencePair[]>>;

const JUDGE_SHARE = 1 / 3;

/** Conversations that begin alike lie on one side, by a hash of how they begin. */
export function splitDialogues(pairs: readonly PreferencePair[]): DialogueSplit {
  const isToJudge = (pair: PreferencePair) => placeOf(pair) < JUDGE_SHARE;
  return {
    judge: pairs.filter(isToJudge),
    learn: pairs.filter((pair) => !isToJudge(pair)),
  };
}

/** Pairs to learn from beside those left out, each pair once among the latter; conversations as above. */
export type Fold = Readonly<Record<"learn" | "leftOut", PreferencePair[]>>;

/** Cross-validation: as many folds as said, of about one size. */
export function foldsOf(pairs: readonly PreferencePair[], count: number): Fold[] {
  const foldOf = (pair: PreferencePair) => Math.floor(placeOf(pair) * FINE) % count;
  return Array.from({ length: count }, (_, fold) => ({
    learn: pairs.filter((pair) => foldOf(pair) !== fold),
    leftOut: pairs.filter((pair) => foldOf(pair) === fold),
  }));
}

/** Cuts places finer than any split, so that folds are as random as the hash. */
const FINE = 2 ** 20;

/** [0, 1), by how the conversation begins. */
function placeOf({ prompt }: PreferencePair): number {
  const opening = (prompt[0]?.content ?? "").toLowerCase();
  return createHash("sha256").update(opening).digest().readUInt32BE() / 2 ** 32;
}
