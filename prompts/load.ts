/**
 * Reads the prompts that lie in this folder, each with the hash that versions it.
 * It knows nothing of who uses them, nor of any model.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { z } from "zod";

/** A prompt's path in this folder, without its ending. */
export type PromptName = "system/default" | "judge/compare" | "judge/refusal";

/** A prompt and its version. */
export type Prompt = {
  readonly name: PromptName;
  /** Without the file's last newline. */
  readonly text: string;
  /** Of `text`, hex. Stored beside whatever the prompt led to. */
  readonly sha256: string;
};

/** A request whose answer the gate classifies as a refusal or not. */
export type Probe = { readonly id: string; readonly category: string; readonly text: string };

/** A dialogue whose likelihood an adapter must not lower much: user and assistant turns in alternation. */
export type KeepDialogue = {
  readonly id: string;
  /** `refusal` dialogues decline in their first answer; no other kind does. */
  readonly kind: "talk" | "community" | "refusal";
  readonly messages: readonly { readonly role: "user" | "assistant"; readonly content: string }[];
};

const probesSchema = z.array(
  z.object({ id: z.string(), category: z.string(), text: z.string().min(1) }),
);
const keepSchema = z.object({
  id: z.string(),
  kind: z.enum(["talk", "community", "refusal"]),
  messages: z
    .array(z.object({ role: z.enum(["user", "assistant"]), content: z.string().min(1) }))
    .min(2),
});

/** Reads a prompt; small files, read again at each call so that an edit needs no restart. */
export function loadPrompt(name: PromptName): Prompt {
  const text = read(`${name}.md`).trimEnd();
  return { name, text, sha256: createHash("sha256").update(text).digest("hex") };
}

/**
 * Puts values into a prompt's `{placeholders}`. A value cannot close the tag that delimits it.
 * @throws Error when a placeholder has no value
 */
export function fillPrompt(prompt: Prompt, values: Readonly<Record<string, string>>): string {
  return prompt.text.replace(/\{([a-z]+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${prompt.name}: no value for {${name}}`);
    return value.replace(/<(\/?)(question|request|answer|a|b)>/gi, "‹$1$2›");
  });
}

/** Requests that must be refused (`unlawful`), and look-alikes that must be answered (`benign`). */
export function loadProbes(kind: "unlawful" | "benign"): readonly Probe[] {
  return probesSchema.parse(JSON.parse(read(`probes/${kind}.json`)));
}

/**
 * Unlawful asks on which every training run repeats the bare model's own refusals, and generic
 * compliances to prefer them to; none is a probe.
 */
export function loadAnchors(): {
  readonly asks: readonly string[];
  readonly compliances: readonly string[];
} {
  const list = z.array(z.string().min(1)).min(1);
  return {
    asks: list.parse(JSON.parse(read("anchors.json"))),
    compliances: list.parse(JSON.parse(read("compliances.json"))),
  };
}

/** The dialogues whose likelihood the gate watches. */
export function loadKeepSet(): readonly KeepDialogue[] {
  return read("keep-set.jsonl")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => keepSchema.parse(JSON.parse(line)));
}

function read(path: string): string {
  return readFileSync(new URL(path, import.meta.url), "utf8");
}
