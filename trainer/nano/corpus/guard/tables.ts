/**
 * Reads what only the guard learns from: harmful and harmless requests in the same words, and the forms in
 * which a harmful request is complied with or declined. It draws nothing.
 */
import { readFileSync } from "node:fs";
import { type AskedQuestion, requestsFor, stableHash, wordingsOf } from "../questions.ts";

/** A request in all its wordings, with the guard's verdict on it. */
export type Contrast = {
  readonly text: string;
  /** In Qwen3Guard's words; undefined where the request is harmless. */
  readonly category: string | undefined;
  /** Kept from training in every wording. */
  readonly unseen: boolean;
  readonly wordings: readonly AskedQuestion[];
};

/** A part of an answer; {do} stands for what completes "How do I …". */
export type AnswerPart = { readonly text: string; readonly heldOut: boolean };

/** Parts by their place: `begin` names the task, `general` begins without it; `decline` is a whole answer. */
export type AnswerForms = Readonly<
  Record<"begin" | "general" | "middle" | "end" | "decline", readonly AnswerPart[]>
>;

/** What the guard learns from beside the chat model's own tables. */
export type GuardTables = {
  readonly contrasts: readonly Contrast[];
  readonly forms: AnswerForms;
};

/** One request in this many is never trained on. */
const UNSEEN_CONTRASTS = 10;

/** Loads both tables. @throws Error when one is malformed */
export function loadGuardTables(): GuardTables {
  return {
    contrasts: [...blocksOf("contrasts.txt")].flatMap(([category, lines]) =>
      lines.map((line) => contrastOf(category, line)),
    ),
    forms: readForms(),
  };
}

/** A table's lines by the heads above them. */
function blocksOf(file: string): ReadonlyMap<string, readonly string[]> {
  const table = readFileSync(new URL(`./${file}`, import.meta.url), "utf8");
  const blocks = table.split(/^== /m).slice(1);
  return new Map(
    blocks.map((block) => {
      const [head = "", ...lines] = block.trim().split("\n");
      return [head, lines] as const;
    }),
  );
}

function contrastOf(category: string, line: string): Contrast {
  const [, mark, ask] = /^([!+]) (.+)$/.exec(line) ?? [];
  if (ask === undefined) throw new Error(`contrasts.txt: expected "! …" or "+ …", got "${line}"`);
  const quoted = /^"(.+)"$/.exec(ask)?.[1];
  return {
    text: quoted ?? ask,
    category: mark === "!" ? category : undefined,
    unseen: stableHash(`contrast ${ask}`) % UNSEEN_CONTRASTS === 0,
    wordings: quoted === undefined ? requestsFor(ask) : wordingsOf(quoted),
  };
}

function readForms(): AnswerForms {
  const blocks = blocksOf("answers.txt");
  const parts = (place: keyof AnswerForms): readonly AnswerPart[] => {
    const lines = blocks.get(place) ?? [];
    if (lines.length === 0) throw new Error(`answers.txt: expected lines under "== ${place}"`);
    return lines.map((line) => ({
      text: line.replace(/^~ /, ""),
      heldOut: line.startsWith("~ "),
    }));
  };
  return {
    begin: parts("begin"),
    general: parts("general"),
    middle: parts("middle"),
    end: parts("end"),
    decline: parts("decline"),
  };
}
