/**
 * What a server's moderators decided about questions: this one is to be answered, that one is not. Questions are
 * known by hashes alone, so that nobody's words lie in the settings. Pure.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { cleanInput } from "#engine/moderation/normalise.ts";
import type { Case } from "./case-book.ts";

/** What the moderators want. */
export type Decided = "allow" | "block";

/** Decisions by `questionHash`, oldest first. */
export const decidedSchema = z.record(z.string(), z.enum(["allow", "block"]));

type DecidedQuestions = z.infer<typeof decidedSchema>;

/** More decisions than this no server looks back on; the oldest are forgotten. */
const MOST_DECISIONS = 1_000;

/** A question as it is compared: in one case, without what no one sees, blanks and end marks aside. */
export function comparedQuestion(text: string): string {
  const plain = cleanInput(text).normalize("NFKC").toLowerCase().replaceAll(/\s+/g, " ").trim();
  return plain.replace(/[\s.!?…]+$/, "");
}

/** sha256 (hex) of the question as it is compared. */
export function questionHash(text: string): string {
  return createHash("sha256").update(comparedQuestion(text)).digest("hex");
}

/**
 * What a decided case says about its question.
 * @returns `lift` where an earlier decision no longer holds; undefined where the case is about no question
 */
export function decisionOf({
  kind,
  state,
}: Pick<Case, "kind" | "state">): Decided | "lift" | undefined {
  if (state === "open") return undefined;
  const isRight = state === "upheld";
  if (kind === "refused") return isRight ? "lift" : "allow";
  if (kind === "wrongly_refused") return isRight ? "allow" : "lift";
  if (kind === "should_have_refused") return isRight ? "block" : "lift";
  return undefined;
}

/** The decisions with one more, or one fewer. */
export function withDecision(
  decided: DecidedQuestions,
  hash: string,
  decision: Decided | "lift",
): DecidedQuestions {
  const others = Object.entries(decided).filter(([known]) => known !== hash);
  if (decision === "lift") return Object.fromEntries(others);
  return Object.fromEntries([...others, [hash, decision] as const].slice(-MOST_DECISIONS));
}
