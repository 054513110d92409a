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

/** Pairs to train on, to choose settings by, and to judge by. */
export type DialogueSplit = Readonly<Record<"train" | "develop" | "judge", PreferencePair[]>>;

const JUDGE_SHARE = 1 / 3;
const DEVELOP_SHARE = 0.1;

/** Conversations that begin alike lie on one side, by a hash of how they begin. */
export function splitDialogues(pairs: readonly PreferencePair[]): DialogueSplit {
  const placeOf = ({ prompt }: PreferencePair): number => {
    const opening = (prompt[0]?.content ?? "").toLowerCase();
    return createHash("sha256").update(opening).digest().readUInt32BE() / 2 ** 32;
  };
  const between = (low: number, high: number) =>
    pairs.filter((pair) => placeOf(pair) >= low && placeOf(pair) < high);
  return {
    judge: between(0, JUDGE_SHARE),
    develop: between(JUDGE_SHARE, JUDGE_SHARE + DEVELOP_SHARE),
    train: between(JUDGE_SHARE + DEVELOP_SHARE, 1),
  };
}
