/**
 * Which adapters learned from somebody's words or votes, by the evidence that each run leaves in its
 * folder (ids and pseudonyms, never text). It knows nothing of how a run works.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { systemCode } from "#engine/base/errors.ts";
import { linesOf } from "../data/lines.ts";

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
      evidenceIn(join(dataDir, "runs", name)).some((line) => {
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

/** None where the folder has no such file. */
function* evidenceIn(folder: string): Generator<string> {
  const path = join(folder, "evidence.jsonl");
  if (!existsSync(path)) return;
  for (const line of linesOf(path)) if (line !== "") yield line;
}
