/**
 * Whether what a server's managers write may go into the system prompt: personas and additions are judged
 * when they are saved. Their manner is theirs, what is refused is not.
 */
import { isCoded } from "#engine/base/errors.ts";
import type { EngineClient } from "#engine/client/engine-client.ts";
import { isHazardCode } from "#engine/moderation/categories.ts";
import type { Language } from "../language/language.ts";
import { asksToSetRulesAside } from "./instruction-rules.ts";

const TIMEOUT_MS = 10_000;

/** @returns why the texts may not be saved, as the end of a sentence; undefined where they may */
export async function instructionProblem(
  language: Language,
  engine: Pick<EngineClient, "moderate">,
  texts: readonly string[],
): Promise<string | undefined> {
  const written = texts.filter((text) => text.trim() !== "");
  if (written.some(asksToSetRulesAside)) return language.say("instructions.aside");
  if (written.length === 0) return undefined;
  try {
    const judgements = await engine.moderate(written, AbortSignal.timeout(TIMEOUT_MS));
    const flagged = judgements.find((one) => one.flagged);
    return flagged === undefined ? undefined : reason(language, flagged.hazards);
  } catch (error) {
    if (!isCoded(error) && !isTimeout(error)) throw error;
    return language.say("instructions.unchecked");
  }
}

function reason(language: Language, hazards: Readonly<Record<string, number>>): string {
  const [worst] = Object.entries(hazards).toSorted(([, a], [, b]) => b - a);
  const [hazard = "", score = 0] = worst ?? [];
  if (score > 0 && hazard === "jailbreak") return language.say("instructions.aside");
  return score > 0 && isHazardCode(hazard)
    ? language.say("instructions.flagged_as", { hazard })
    : language.say("instructions.flagged");
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}
