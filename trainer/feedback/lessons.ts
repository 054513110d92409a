/**
 * Which adapters learned from somebody's words or votes, by the evidence that each run leaves in its
 * folder (ids and pseudonyms, never text). It knows nothing of how a run works.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { systemCode } from "#engine/base/errors.ts";

const evidenceLine = z.object({
  side: z.string(),
  exchangeIds: z.array(z.string()),
  raterKeys: z.array(z.string()),
});

/** What is gone. */
export type Gone = { readonly exchangeIds: readonly string[]; readonly raterKey?: string };

/** Names of the adapters in the registry that learned from it, oldest first. */
export function adaptersThatLearnedFrom(dataDir: string, gone: Gone): readonly string[] {
  const exchangeIds = new Set(gone.exchangeIds);
  return foldersIn(join(dataDir, "adapters"))
    .filter((name) =>
      // A run's folder and its adapter have one name.
      linesOf(join(dataDir, "runs", name, "evidence.jsonl")).some((line) => {
        const parsed = evidenceLine.safeParse(JSON.parse(line));
        if (!parsed.success || parsed.data.side !== "train") return false;
        const { exchangeIds: used, raterKeys } = parsed.data;
        const isRater = gone.raterKey !== undefined && raterKeys.includes(gone.raterKey);
        return isRater || used.some((id) => exchangeIds.has(id));
      }),
    )
    .toSorted();
}

function foldersIn(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .map(({ name }) => name);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}

function linesOf(path: string): readonly string[] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}
