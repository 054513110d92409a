/**
 * What a community does about a verdict: by hazard and severity, allow, warn or block.
 * Pure; where the policy comes from is the service's business. Minors (S4) are no one's choice, and what the
 * operator always blocks is no community's.
 */
import { z } from "zod";
import { HAZARD_CODES } from "./categories.ts";
import type { Severity } from "./guard-format.ts";

/** What is done with a text. */
type Action = "allow" | "warn" | "block";

/** What each severity leads to. */
type Levels = { readonly controversial: Action; readonly unsafe: Action };
type SomeLevels = {
  readonly controversial?: Action | undefined;
  readonly unsafe?: Action | undefined;
};

/** A community's policy. */
export type GuildPolicy = {
  /** Whether the place is marked age-restricted: sexual content is allowed there alone. */
  readonly ageRestricted: boolean;
  /** How sure the guard must be, 0.05 to 0.95. */
  readonly threshold: number;
  readonly usual: Levels;
  readonly hazards: Readonly<Record<string, SomeLevels>>;
  /** What the community's moderators decided about this very question; undefined: nothing. */
  readonly decided?: "allow" | "block" | undefined;
  /** Of texts that are shown to people, such as `de` or `pt-BR`. */
  readonly locale: string;
};

const USUAL: Levels = { controversial: "warn", unsafe: "block" };
/** Advice, elections and opinions are worth a note, not a refusal; a community may be stricter. */
const MILD: Levels = { controversial: "allow", unsafe: "warn" };

/** Where a community says nothing. */
export const DEFAULT_POLICY: GuildPolicy = {
  ageRestricted: false,
  threshold: 0.5,
  usual: USUAL,
  hazards: { S6: MILD, S13: MILD },
  locale: "en",
};

const action = z.enum(["allow", "warn", "block"], { error: "expected allow, warn or block" });
const levels = z.strictObject(
  { controversial: action.optional(), unsafe: action.optional() },
  { error: 'expected an object such as {"controversial": "warn", "unsafe": "block"}' },
);

/** How a community writes its policy; what is left out stays as it is by default. */
export const policySchema = z.strictObject(
  {
    threshold: z
      .number({ error: "expected a number from 0.05 to 0.95" })
      .min(0.05, { error: "expected a number from 0.05 to 0.95" })
      .max(0.95, { error: "expected a number from 0.05 to 0.95" })
      .optional(),
    default: levels.optional(),
    decided: z.enum(["allow", "block"], { error: "expected allow or block" }).optional(),
    hazards: z
      .partialRecord(
        z.enum([...HAZARD_CODES, "jailbreak", "unspecified"], {
          error: "expected a hazard from S1 to S14, jailbreak or unspecified",
        }),
        levels,
      )
      .optional(),
  },
  { error: "expected an object with threshold, default, decided and hazards" },
);

/** The default policy with a community's own words over it. */
export function toPolicy(
  given: z.infer<typeof policySchema>,
  place: { readonly ageRestricted: boolean; readonly locale: string | undefined },
): GuildPolicy {
  const { controversial, unsafe } = given.default ?? {};
  return {
    ageRestricted: place.ageRestricted,
    locale: place.locale ?? DEFAULT_POLICY.locale,
    threshold: given.threshold ?? DEFAULT_POLICY.threshold,
    usual: { controversial: controversial ?? USUAL.controversial, unsafe: unsafe ?? USUAL.unsafe },
    hazards: { ...DEFAULT_POLICY.hazards, ...given.hazards },
    decided: given.decided,
  };
}

/** How severe a guard's verdict is under a threshold. */
function severityOf(
  probabilities: Readonly<Record<Severity, number>>,
  threshold: number,
): Severity {
  if (probabilities.unsafe >= threshold) return "unsafe";
  return probabilities.unsafe + probabilities.controversial >= threshold ? "controversial" : "safe";
}

/** What no community and no moderator allows: pleas get help lines, not an answer. */
const NEVER_DECIDED: readonly string[] = ["S4", "S11"];

/** What is to be done about a hazard of a severity. */
function actionFor(
  policy: GuildPolicy,
  { hazard, severity, ceiling }: { hazard: string; severity: Severity; ceiling: Ceiling },
): Action {
  if (severity === "safe") return "allow";
  if (hazard === "S4") return "block";
  if (severity === "unsafe" && ceiling.has(hazard)) return "block";
  if (hazard === "S12" && !policy.ageRestricted) return "block";
  const action =
    policy.hazards[hazard]?.[severity] ?? (hazard === "S12" ? "allow" : policy.usual[severity]);
  const isAllowed = policy.decided === "allow" && !NEVER_DECIDED.includes(hazard);
  return isAllowed && action === "block" ? "warn" : action;
}

/** Hazards that an operator blocks whatever a community says. */
export type Ceiling = ReadonlySet<string>;

const NO_CEILING: Ceiling = new Set();

/** What a policy decides about what was found: the strictest action, and the hazard that leads to it. */
export type Decision = {
  readonly action: Action;
  readonly hazard: string;
  readonly severity: Severity;
  /** P(unsafe) + P(controversial). */
  readonly probability: number;
};

const FIRST_NAMED: readonly string[] = ["S4", "S11"];
const STRICTNESS: readonly Action[] = ["allow", "warn", "block"];

/** Decides about one verdict. */
export function decide(
  policy: GuildPolicy,
  verdict: {
    readonly probabilities: Readonly<Record<Severity, number>>;
    readonly hazards: readonly string[];
  },
  ceiling: Ceiling = NO_CEILING,
): Decision {
  const severity = severityOf(verdict.probabilities, policy.threshold);
  const probability = 1 - verdict.probabilities.safe;
  // A guard that is unsure enough to name no hazard, but not sure enough to pass.
  const hazards = verdict.hazards.length === 0 ? ["unspecified"] : verdict.hazards;
  // Of several that are blocked, the one whose answer matters most is named.
  const named = [...FIRST_NAMED.filter((one) => hazards.includes(one)), ...hazards];
  const action = (hazard: string) => actionFor(policy, { hazard, severity, ceiling });
  return strictest(
    named.map((hazard) => ({ action: action(hazard), hazard, severity, probability })),
  );
}

/** The strictest of several decisions. @throws RangeError when there is none */
export function strictest(decisions: readonly Decision[]): Decision {
  const [first, ...rest] = decisions;
  if (first === undefined) throw new RangeError("expected at least one decision, got none");
  return rest.reduce(
    (a, b) => (STRICTNESS.indexOf(b.action) > STRICTNESS.indexOf(a.action) ? b : a),
    first,
  );
}
