/** Feedback written as short lines, for the tests of the pairs. */
import { FeedbackLog } from "#trainer/feedback/log.ts";
import type { Exchange, FeedbackEvent } from "#trainer/feedback/records.ts";
import type { Feedback } from "#trainer/pairs/answers.ts";

/** One answer, who asked what, and what people said of it: `👍` / `👎` or stars by rater. */
export type Said = {
  readonly asked: string;
  readonly answer: string;
  readonly says: Readonly<Record<string, "👍" | "👎" | number>>;
  readonly source?: Exchange["source"];
  readonly finishReason?: string;
  readonly deleted?: boolean;
};

/** Records the lines in a log of their own, in memory, and reads it as the pairs do. */
export function feedbackOf(said: readonly Said[], learnFromDiscord = false): Feedback {
  using log = logOf(said);
  return {
    exchanges: [...log.exchanges()],
    votes: log.standing(),
    refusal: ({ source }) =>
      source === "discord" && !learnFromDiscord ? "from_discord" : undefined,
  };
}

/**
 * The log of these lines at `path`; answer i has the candidate id `a<i>` and the exchange id `x<i>`.
 * @param sinceMs when it all began; a bot that runs on the log drops texts that are too old
 */
export function logOf(said: readonly Said[], path = ":memory:", sinceMs = 0): FeedbackLog {
  const log = FeedbackLog.open(path);
  said.forEach((line, index) => {
    log.recordExchange(
      {
        id: `x${index}`,
        source: line.source ?? "playground",
        guildId: "g",
        channelId: "c",
        threadId: null,
        authorKey: "asker",
        messages: [{ role: "user", content: line.asked }],
        systemPromptSha256: "0".repeat(64),
        createdAtMs: sinceMs + index + 1,
      },
      [
        {
          id: `a${index}`,
          exchangeId: `x${index}`,
          text: line.answer,
          adapter: null,
          sampling: {},
          finishReason: line.finishReason ?? "stop",
          createdAtMs: sinceMs + index + 1,
        },
      ],
    );
    for (const [rater, opinion] of Object.entries(line.says)) {
      log.record(eventOf(`a${index}`, rater, opinion, sinceMs + index));
    }
    if (line.deleted === true) log.recordDeletion(`x${index}`);
  });
  return log;
}

function eventOf(
  candidateId: string,
  raterKey: string,
  opinion: "👍" | "👎" | number,
  atMs: number,
): FeedbackEvent {
  const kind = typeof opinion === "number" ? "rate" : "reaction";
  const value = typeof opinion === "number" ? opinion : opinion === "👍" ? 1 : -1;
  const id = `${candidateId}:${raterKey}:${kind}`;
  return { id, candidateId, raterKey, kind, value, action: "made", atMs };
}
