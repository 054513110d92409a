/**
 * A request's `metadata`: whose it is, and how its place is moderated. OpenAI's clients send strings
 * alone, so a policy may be written as JSON in one. It knows shapes, not what is served.
 */
import { z } from "zod";
import { type GuildPolicy, policySchema, toPolicy } from "../moderation/guild-policy.ts";
import { invalidField } from "./http-problem.ts";

const key = z.string({ error: "expected a string" }).max(128).nullish();
const yesOrNo = z
  .union([z.boolean(), z.enum(["true", "false"])], { error: "expected true or false" })
  .nullish();

/** The field's schema; a policy is read by `readPolicy`. */
export const metadataSchema = z
  .object(
    {
      person: key,
      guild: key,
      age_restricted: yesOrNo,
      locale: z.string({ error: "expected a locale such as en or pt-BR" }).max(35).nullish(),
      moderation: z
        .union([z.string().max(4096), z.record(z.string(), z.unknown())], {
          error: "expected a policy as an object, or as JSON in a string",
        })
        .nullish(),
    },
    { error: "expected an object with the strings person and guild" },
  )
  .nullish();

/**
 * The policy of the request's place; what it leaves out is the default.
 * @throws HttpProblem 400 that names what is wrong
 */
export function readPolicy(metadata: z.infer<typeof metadataSchema>): GuildPolicy {
  const parsed = policySchema.safeParse(parseJson(metadata?.moderation ?? {}));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const path = ["metadata.moderation", ...(issue?.path ?? [])].join(".");
    throw invalidField(path, issue?.message ?? "expected a policy");
  }
  const flag = metadata?.age_restricted;
  return toPolicy(parsed.data, {
    ageRestricted: flag === true || flag === "true",
    locale: metadata?.locale ?? undefined,
  });
}

function parseJson(value: string | Record<string, unknown>): unknown {
  if (typeof value !== "string") return value;
  try {
    const parsed: unknown = JSON.parse(value);
    return parsed;
  } catch (cause) {
    throw invalidField("metadata.moderation", "expected JSON", cause);
  }
}
