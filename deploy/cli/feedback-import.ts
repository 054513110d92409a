/**
 * `zephyr feedback import`: takes in what `zephyr feedback export` wrote, such as on another machine. The whole
 * file is checked before anything is recorded; what this log knows to be deleted stays deleted, and taking the
 * same file in again changes nothing.
 */
import { createReadStream, statSync } from "node:fs";
import { createInterface } from "node:readline";
import { z } from "zod";
import type { Config } from "#engine/base/config.ts";
import { CodedError } from "#engine/base/errors.ts";
import { FeedbackLog } from "#trainer/feedback/log.ts";
import { eventProblem, FEEDBACK_KINDS, type FeedbackEvent } from "#trainer/feedback/records.ts";
import type { CommandResult } from "./adapters.ts";

const id = z.string().min(1).max(200);
const timeMs = z.number().min(0);
const voteSchema = z.object({
  raterKey: id,
  kind: z.enum(FEEDBACK_KINDS),
  value: z.number(),
  comment: z.string().optional(),
  atMs: timeMs,
});
const candidateSchema = z.object({
  id,
  exchangeId: id,
  text: z.string(),
  adapter: z.string().nullable(),
  sampling: z.record(z.string(), z.number()),
  finishReason: z.string(),
  createdAtMs: timeMs,
  votes: z.array(voteSchema),
});
const lineSchema = z.object({
  id,
  source: z.enum(["discord", "playground", "http"]),
  guildId: z.string().nullable(),
  channelId: z.string(),
  threadId: z.string().nullable(),
  authorKey: id,
  participantKeys: z.array(id).optional(),
  messageIds: z.array(id).optional(),
  messages: z
    .array(z.object({ role: z.enum(["system", "user", "assistant"]), content: z.string() }))
    .min(1),
  systemPromptSha256: z.string(),
  createdAtMs: timeMs,
  candidates: z.array(candidateSchema),
});

type Line = z.infer<typeof lineSchema>;

/**
 * Checks the file, then records it.
 * @throws CodedError `invalid_request` naming the line that is wrong, `disk_full`, `database_failed`
 */
export async function importFeedback(config: Config, file: string): Promise<CommandResult> {
  checkFile(file);
  for await (const _ of linesOf(file));
  using log = FeedbackLog.openIn(config);
  const counts = { exchanges: 0, answers: 0, votes: 0 };
  for await (const line of linesOf(file)) {
    record(log, line);
    counts.exchanges += 1;
    counts.answers += line.candidates.length;
    counts.votes += line.candidates.reduce((sum, { votes }) => sum + votes.length, 0);
  }
  return {
    result: { file, ...counts },
    text: `${counts.exchanges} exchanges with ${counts.answers} answers and ${counts.votes} votes are in the log. Consent is not part of an export: people are asked here as anywhere.`,
  };
}

function record(
  log: FeedbackLog,
  { candidates, participantKeys, messageIds, ...line }: Line,
): void {
  const exchange = {
    ...line,
    ...(participantKeys === undefined ? {} : { participantKeys }),
    ...(messageIds === undefined ? {} : { messageIds }),
  };
  log.recordExchange(
    exchange,
    candidates.map(({ votes: _, ...candidate }) => candidate),
  );
  for (const candidate of candidates) {
    for (const vote of candidate.votes) log.record(eventOf(candidate.id, vote));
  }
}

/** The same vote gives the same event id, which the log takes once. */
function eventOf(
  candidateId: string,
  { comment, ...vote }: Line["candidates"][number]["votes"][number],
): FeedbackEvent {
  const key = JSON.stringify([candidateId, vote.raterKey, vote.kind, vote.value, vote.atMs]);
  return {
    id: `import:${key}`,
    candidateId,
    ...vote,
    ...(comment === undefined ? {} : { comment }),
    action: "made",
  };
}

async function* linesOf(file: string): AsyncGenerator<Line> {
  let number = 0;
  for await (const text of createInterface({ input: createReadStream(file) })) {
    number += 1;
    if (text.trim() !== "") yield parse(file, number, text);
  }
}

function parse(file: string, number: number, text: string): Line {
  const parsed = lineSchema.safeParse(parseJson(file, number, text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw malformed(file, number, `${issue?.path.join(".")}: ${issue?.message}`);
  }
  for (const candidate of parsed.data.candidates) {
    if (candidate.exchangeId !== parsed.data.id) {
      throw malformed(file, number, `the answer ${candidate.id} is of another exchange`);
    }
    for (const vote of candidate.votes) {
      const problem = eventProblem(eventOf(candidate.id, vote));
      if (problem !== undefined) throw malformed(file, number, problem);
    }
  }
  return parsed.data;
}

function parseJson(file: string, number: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw malformed(file, number, "it is no JSON", error);
  }
}

function checkFile(file: string): void {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found?.isFile() === true) return;
  const came = found === undefined ? "There is no file" : "Expected a file, found a folder at";
  throw new CodedError(`${came} ${file}. Give one that zephyr feedback export wrote.`, {
    code: "invalid_request",
  });
}

function malformed(file: string, number: number, why: string, cause?: unknown): CodedError {
  return new CodedError(
    `${file}, line ${number}: ${why}. Nothing was recorded; give a file that zephyr feedback export wrote.`,
    { code: "invalid_request", cause },
  );
}
