/**
 * Preference pairs from a file of JSON lines, one at a time, however long it is. It knows their form, not
 * where they come from.
 */
import { z } from "zod";
import { CodedError } from "#engine/base/errors.ts";
import { linesOf } from "./lines.ts";
import type { PreferencePair } from "./preference.ts";

const pairSchema = z.object({
  id: z.string(),
  prompt: z.array(z.object({ role: z.enum(["system", "user", "assistant"]), content: z.string() })),
  chosen: z.string(),
  rejected: z.string(),
  weight: z.number().positive().default(1),
});

const COMPLAINT_CHARS = 120;

/**
 * Reads the pairs, each when it is asked for; iterating again reads the file again.
 * @throws CodedError `invalid_request` naming the line that is no pair
 */
export function pairsOfFile(path: string): Iterable<PreferencePair> {
  return {
    *[Symbol.iterator]() {
      let number = 0;
      for (const line of linesOf(path)) {
        number += 1;
        if (line.trim() !== "") yield parsePair(line, path, number);
      }
    },
  };
}

function parsePair(line: string, path: string, number: number): PreferencePair {
  try {
    return pairSchema.parse(JSON.parse(line));
  } catch (error) {
    const problem =
      error instanceof Error ? error.message.slice(0, COMPLAINT_CHARS) : String(error);
    throw new CodedError(
      `Expected a preference pair {id, prompt, chosen, rejected} in line ${number} of ${path}: ${problem}`,
      { code: "invalid_request", cause: error },
    );
  }
}
