/**
 * One of several processes that write to the same data folder at once, for several-processes.test.ts:
 * `node writing-process.ts FOLDER NAME ROUNDS`. It begins when it reads a line, and prints what it did.
 */
import { once } from "node:events";
import { GatewayLedger } from "#bot/discord/gateway/gateway-ledger.ts";
import { CaseBook } from "#bot/moderation/case-book.ts";
import { systemClock } from "#engine/base/clock.ts";
import { createLog } from "#engine/base/log.ts";
import { ConsentBook } from "#trainer/feedback/consent.ts";
import { KeyRing } from "#trainer/feedback/key-ring.ts";
import { FeedbackLog } from "#trainer/feedback/log.ts";
import { openPseudonyms } from "#trainer/feedback/pseudonym.ts";

const [dataDir = "", name = "", rounds = "0"] = process.argv.slice(2);
process.stdout.write("here\n");
await once(process.stdin, "data");

const settings = { DATA_DIR: dataDir };
using feedback = FeedbackLog.openIn(settings);
using keys = KeyRing.open(settings);
using cases = CaseBook.open(dataDir, keys, systemClock);
using consent = ConsentBook.open(dataDir);
using ledger = GatewayLedger.open(dataDir, createLog("test", "silent"));
const pseudonymise = openPseudonyms(dataDir);

const numbers: number[] = [];
let recorded = 0;
for (let round = 0; round < Number(rounds); round++) {
  // The same person in all processes: their key is made once.
  const authorKey = pseudonymise(`person ${round}`);
  const exchangeId = `${name} ${round}`;
  const candidateId = `${exchangeId} answer`;
  const [createdAtMs, adapter, systemPromptSha256] = [systemClock.nowMs(), null, "0".repeat(64)];
  feedback.recordExchange(
    {
      ...{ id: exchangeId, source: "playground", guildId: "1", channelId: "2", threadId: null },
      ...{ authorKey, systemPromptSha256, createdAtMs },
      messages: [{ role: "user", content: `asked by ${name}` }],
    },
    [
      {
        ...{ id: candidateId, exchangeId, text: `answer of ${name}`, adapter, createdAtMs },
        ...{ sampling: { temperature: 0, seed: 1 }, finishReason: "stop" },
      },
    ],
  );
  const shared = { kind: "vote", value: 1, action: "made", atMs: createdAtMs } as const;
  // The same event from every process, as after a gap in the gateway's session: one of them records it.
  const outcome = feedback.record({
    ...shared,
    ...{ id: `vote ${round}`, candidateId: `any ${round}`, raterKey: authorKey },
  });
  if (outcome === "recorded") recorded += 1;
  feedback.record({ ...shared, id: `${name} vote ${round}`, candidateId, raterKey: authorKey });
  const opened = cases.open({
    ...{ guildId: "1", kind: "report", sourceId: exchangeId, subjectKey: authorKey },
    ...{ actorKey: "bot", reason: `reason of ${name}`, evidence: "", place: "", isDryRun: false },
  });
  if (opened !== undefined) numbers.push(opened.number);
  consent.setPerson(authorKey, true);
  ledger.noteRefusal(systemClock.nowMs(), 600_000);
}
const pseudonym = pseudonymise("somebody");
process.stdout.write(`${JSON.stringify({ numbers, recorded, pseudonym })}\n`);
