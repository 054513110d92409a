/**
 * Whether what a server's managers write may go into the system prompt. Their manner is theirs, what is
 * refused is not.
 */
import { z } from "zod";
import { isCoded } from "#engine/base/errors.ts";
import type { EngineClient } from "#engine/client/engine-client.ts";
import { isHazardCode } from "#engine/moderation/categories.ts";
import type { Language } from "../language/language.ts";
import { asksToSetRulesAside } from "./instruction-rules.ts";

const TIMEOUT_MS = 10_000;

/** What was judged of a text; `unchecked`: nobody could. */
export const instructionVerdictSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("fits") }),
  z.object({ kind: z.literal("aside") }),
  z.object({ kind: z.literal("flagged"), hazard: z.string().optional() }),
  z.object({ kind: z.literal("unchecked") }),
]);

/** What was judged of a text. */
export type InstructionVerdict = z.infer<typeof instructionVerdictSchema>;

/** Judges one text by the list of ways to ask that rules be set aside, then by the engine's own checks. */
export async function judgeInstruction(
  engine: Pick<EngineClient, "moderate">,
  text: string,
): Promise<InstructionVerdict> {
  if (asksToSetRulesAside(text)) return { kind: "aside" };
  if (text.trim() === "") return { kind: "fits" };
  try {
    const [judgement] = await engine.moderate([text], AbortSignal.timeout(TIMEOUT_MS));
    if (judgement === undefined) return { kind: "unchecked" };
    return judgement.flagged ? flagged(judgement.hazards) : { kind: "fits" };
  } catch (error) {
    if (!isCoded(error) && !isTimeout(error)) throw error;
    return { kind: "unchecked" };
  }
}

/** @returns why a text may not be used, as the end of a sentence; undefined where it may */
export function instructionReason(
  language: Language,
  verdict: InstructionVerdict,
): string | undefined {
  switch (verdict.kind) {
    case "fits":
      return undefined;
    case "flagged":
      return verdict.hazard === undefined
        ? language.say("instructions.flagged")
        : language.say("instructions.flagged_as", { hazard: verdict.hazard });
    default:
      return language.say(`instructions.${verdict.kind}`);
  }
}

function flagged(hazards: Readonly<Record<string, number>>): InstructionVerdict {
  const [worst] = Object.entries(hazards).toSorted(([, a], [, b]) => b - a);
  const [hazard = "", score = 0] = worst ?? [];
  if (score > 0 && hazard === "jailbreak") return { kind: "aside" };
  return score > 0 && isHazardCode(hazard) ? { kind: "flagged", hazard } : { kind: "flagged" };
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}
