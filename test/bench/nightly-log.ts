/** A feedback log of many pairs, for `nightly.ts`: written in large transactions, and otherwise as the bot writes it. */
import { KeyRing } from "#trainer/feedback/key-ring.ts";
import { feedbackPath } from "#trainer/feedback/log.ts";
import { LogDatabase } from "#trainer/feedback/log-database.ts";
import { insertCandidate, insertEvent, insertExchange } from "#trainer/feedback/recording.ts";

const PEOPLE = 500;
const CHUNK = 1_000;
const WORDS = "the hello you and ing or is en it on at he we tea rain chess bread".split(" ");

/** Writes `pairs` questions, each with an answer that somebody likes and one that somebody dislikes. */
export function writeLog(dataDir: string, pairs: number): void {
  using log = new LogDatabase(feedbackPath(dataDir), KeyRing.open({ DATA_DIR: dataDir }));
  for (let first = 0; first < pairs; first += CHUNK) {
    log.write(() => {
      for (let i = first; i < Math.min(pairs, first + CHUNK); i++) writeQuestion(log, i);
    });
  }
}

function writeQuestion(log: LogDatabase, index: number): void {
  const id = `x${index}`;
  const words = (seed: number) =>
    Array.from({ length: 12 }, (_, k) => WORDS[(index * 7 + seed * k) % WORDS.length]).join(" ");
  insertExchange(log, {
    id,
    source: "playground",
    guildId: "g",
    channelId: "c",
    threadId: null,
    authorKey: `person ${index % PEOPLE}`,
    messages: [{ role: "user", content: `${index}: ${words(3)}?` }],
    systemPromptSha256: "0".repeat(64),
    createdAtMs: index + 1,
  });
  for (const [side, value] of [
    ["good", 1],
    ["bad", -1],
  ] as const) {
    const candidateId = `${side}${index}`;
    const times = { createdAtMs: index + 1 };
    const how = { adapter: null, sampling: {}, finishReason: "stop" };
    const text = `${side} ${words(value + 5)}`;
    insertCandidate(log, { id: candidateId, exchangeId: id, text, ...how, ...times }, id);
    insertEvent(log, {
      id: `${candidateId} vote`,
      candidateId,
      raterKey: `person ${(index * 3 + value) % PEOPLE}`,
      kind: "reaction",
      value,
      action: "made",
      atMs: index + 1,
    });
  }
}
