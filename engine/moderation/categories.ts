/**
 * The hazards that checks speak of: Llama Guard 3's S1–S14
 * (https://www.llama.com/docs/model-cards-and-prompt-formats/llama-guard-3/) and what this project adds.
 * It knows no policy.
 */

/** Llama Guard's hazards by code, in its order and words. */
export const HAZARDS = {
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
} as const;

/** A hazard's code; `jailbreak` has no place in Llama Guard's list, `unspecified` is a guard that names none. */
export type Hazard = keyof typeof HAZARDS | "jailbreak" | "unspecified";

/** Whether `text` is one of Llama Guard's codes. */
export function isHazardCode(text: string): text is keyof typeof HAZARDS {
  return Object.hasOwn(HAZARDS, text);
}
