/**
 * The hazards that checks speak of: Llama Guard 3's S1–S14
 * (https://www.llama.com/docs/model-cards-and-prompt-formats/llama-guard-3/) and what this project adds.
 * It knows no policy.
 */

/** Llama Guard's codes, in its order. */
export const HAZARD_CODES = [
  ...(["S1", "S2", "S3", "S4", "S5", "S6", "S7"] as const),
  ...(["S8", "S9", "S10", "S11", "S12", "S13", "S14"] as const),
] as const;

type HazardCode = (typeof HAZARD_CODES)[number];

/** What the codes stand for, in Llama Guard's words. */
export const HAZARDS: Readonly<Record<HazardCode, string>> = {
  S1: "Violent Crimes",
  S2: "Non-Violent Crimes",
  S3: "Sex Crimes",
  S4: "Child Exploitation",
  S5: "Defamation",
  S6: "Specialized Advice",
  S7: "Privacy",
  S8: "Intellectual Property",
  S9: "Indiscriminate Weapons",
  S10: "Hate",
  S11: "Self-Harm",
  S12: "Sexual Content",
  S13: "Elections",
  S14: "Code Interpreter Abuse",
};

/** A hazard's code; `jailbreak` has no place in Llama Guard's list, `unspecified` is a guard that names none. */
export type Hazard = HazardCode | "jailbreak" | "unspecified";

/** Whether `text` is one of Llama Guard's codes. */
export function isHazardCode(text: string): text is HazardCode {
  return Object.hasOwn(HAZARDS, text);
}
