/**
 * `zephyr feedback export`: the log as JSON lines, an exchange a line with its answers and the votes
 * that stand on them. People are pseudonyms as in the log; deleted content is left out.
 */
import { createWriteStream, existsSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { explainWriteError } from "#engine/base/atomic-file.ts";
import type { Config } from "#engine/base/config.ts";
import { FeedbackLog, feedbackPath } from "#trainer/feedback/log.ts";
import type { RecordedExchange } from "#trainer/feedback/recorded.ts";
import type { StandingVote } from "#trainer/feedback/records.ts";

/**
 * Writes the log to a file, or to stdout.
 * @returns how many exchanges
 * @throws CodedError `database_failed`, `disk_full`
 */
export async function exportFeedback(config: Config, file: string | undefined): Promise<number> {
  // To look at what is not there must not make it.
  const isThere = existsSync(feedbackPath(config.DATA_DIR));
  using log = isThere ? FeedbackLog.openIn(config) : undefined;
  const votes = Map.groupBy(log?.standing() ?? [], ({ candidateId }) => candidateId);
  let count = 0;
  const lines = function* (): Generator<string> {
    for (const recorded of log?.exchanges() ?? []) {
      if (recorded.deleted) continue;
      count += 1;
      yield `${JSON.stringify(toExport(recorded, votes))}\n`;
    }
  };
  try {
    if (file === undefined) await pipeline(Readable.from(lines()), process.stdout, { end: false });
    else await pipeline(Readable.from(lines()), createWriteStream(file, { mode: 0o600 }));
  } catch (error) {
    throw explainWriteError(error, file ?? "stdout");
  }
  return count;
}

function toExport(
  { exchange, candidates }: RecordedExchange,
  votes: ReadonlyMap<string, readonly StandingVote[]>,
): object {
  const answers = candidates
    .filter(({ deleted }) => !deleted)
    .map(({ deleted: _, ...candidate }) => ({
      ...candidate,
      votes: (votes.get(candidate.id) ?? []).map(({ candidateId: __, ...vote }) => vote),
    }));
  return { ...exchange, candidates: answers };
}
