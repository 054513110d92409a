#!/usr/bin/env node
/**
 * What the checks cost: `node test/bench/moderation.ts [--streams n] [--requests n] [--rounds n] [--guard-streams n]`.
 * The lexical layer's time for a request against the request's own at `n` streams, on the small model; and the same
 * requests with the shipped guard on every question and answer, in turn with those without it: tokens a second,
 * the time to the first shown text, and how many tokens are held back before it.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { openLocalBackend } from "#engine/backends/local.ts";
import { parseConfig } from "#engine/base/config.ts";
import { createLog } from "#engine/base/log.ts";
import type { Moderation } from "#engine/moderation/moderator.ts";
import { locateModel } from "#engine/service/model-path.ts";
import { openModeration } from "#engine/service/open-moderation.ts";

const TOKENS = 96;
const { signal } = new AbortController();
const TOPICS = ["volcanoes", "sharks", "bees", "castles", "rivers", "the Moon", "bread", "trains"];

const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "32" },
    requests: { type: "string", default: "96" },
    rounds: { type: "string", default: "2" },
    "guard-streams": { type: "string", default: "4" },
  },
});
const [streams, requests, rounds] = [values.streams, values.requests, values.rounds].map(Number);
const threads = Math.max(1, Math.floor(availableParallelism() / 2));

/** One request as the service serves it. */
type Served = {
  readonly pieces: readonly string[];
  readonly firstShownMs: number;
  readonly heldBack: number;
  readonly wholeMs: number;
};

const question = (index: number) => {
  const topic = TOPICS[index % TOPICS.length] ?? "";
  return [{ role: "user" as const, content: `${index}. Tell me a lot about ${topic}.` }];
};

async function serve(moderation: Moderation, index: number): Promise<Served> {
  const startedMs = performance.now();
  const messages = question(index);
  await moderation.checkInput(messages, signal);
  const check = moderation.openOutput({ messages, signal });
  const pieces: string[] = [];
  let firstShownMs: number | undefined;
  let heldBack = 0;
  const shown = (text: string) => {
    if (text === "" || firstShownMs !== undefined) return;
    firstShownMs = performance.now() - startedMs;
    heldBack = pieces.length;
  };
  for await (const event of backend.generate({
    messages,
    sampling: { temperature: 0.8, topP: 1, topK: 40, minP: 0, seed: index },
    maxTokens: TOKENS,
    stop: [],
    adapter: null,
    signal,
  })) {
    if (event.type !== "text") continue;
    pieces.push(event.text);
    shown((await check.push(event.text)).text);
  }
  shown((await check.finish()).text);
  const wholeMs = performance.now() - startedMs;
  return { pieces, firstShownMs: firstShownMs ?? wholeMs, heldBack, wholeMs };
}

/** All requests, `streams` at a time; numbered from `from` on, so that no verdict is remembered. */
async function serveAll(moderation: Moderation, from: number) {
  const served: Served[] = [];
  const startedMs = performance.now();
  const cpu = process.cpuUsage();
  let next = from;
  const worker = async () => {
    while (next < from + (requests ?? 0)) served.push(await serve(moderation, next++));
  };
  await Promise.all(Array.from({ length: streams ?? 1 }, worker));
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const tokens = served.reduce((sum, { pieces }) => sum + pieces.length, 0);
  return { served, tokensPerSecond: tokens / seconds, cpuMs: (user + system) / 1000 };
}

/** CPU time of checking each request's input and output, ms. */
async function timeChecks(moderation: Moderation, served: readonly Served[]) {
  const cpu = process.cpuUsage();
  for (const [index, { pieces }] of served.entries()) {
    const messages = question(index);
    await moderation.checkInput(messages, signal);
    const check = moderation.openOutput({ messages, signal });
    for (const piece of pieces) await check.push(piece);
    await check.finish();
  }
  const { user, system } = process.cpuUsage(cpu);
  return (user + system) / 1000 / served.length;
}

const quantile = (numbers: readonly number[], share: number) =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length * share)] ?? 0;
const rounded = (number: number, digits = 1) => Number(number.toFixed(digits));

function open(guard: "off" | "nano") {
  const settings = { GUARD_MODEL: guard, GUARD_STREAMS: values["guard-streams"], GPU: "cpu" };
  return openModeration(parseConfig({ ...settings, THREADS: String(threads) }), {
    chat: undefined,
    locate: (model, setting) => locateModel(model, ".", () => Promise.reject(), setting),
    log: createLog("bench", "silent"),
  });
}

const { path } = await locateModel("nano", ".", () => Promise.reject());
await using backend = await openLocalBackend({
  modelPath: path,
  modelId: "nano",
  gpu: "cpu",
  gpuLayers: 0,
  threads,
  contextTokens: 512,
  streams: streams ?? 1,
});
await using lexical = await open("off");
await using guarded = await open("nano");
type Run = Awaited<ReturnType<typeof serveAll>>;
const without: Run[] = [];
const withGuard: Run[] = [];
for (let round = 0; round < (rounds ?? 1); round++) {
  const from = round * (requests ?? 0);
  without.push(await serveAll(lexical.moderation, from));
  withGuard.push(await serveAll(guarded.moderation, from));
}

function figures(of: readonly Run[]) {
  const served = of.flatMap((run) => run.served);
  const firstShown = served.map(({ firstShownMs }) => firstShownMs);
  return {
    tokensPerSecond: of.map(({ tokensPerSecond }) => rounded(tokensPerSecond, 0)),
    cpuMsPerRequest: rounded(of.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / served.length),
    requestMsMedian: rounded(
      quantile(
        served.map(({ wholeMs }) => wholeMs),
        0.5,
      ),
    ),
    firstShownMsMedian: rounded(quantile(firstShown, 0.5)),
    firstShownMsP95: rounded(quantile(firstShown, 0.95)),
    heldBackPiecesMost: Math.max(...served.map(({ heldBack }) => heldBack)),
  };
}

const [first] = without;
const lexicalMs = await timeChecks(lexical.moderation, first?.served ?? []);
const [plain, guard] = [figures(without), figures(withGuard)];
process.stdout.write(
  `${JSON.stringify({
    streams,
    requests,
    lexical: plain,
    guard,
    lexicalMsPerRequest: rounded(lexicalMs, 3),
    lexicalShare: rounded(lexicalMs / plain.requestMsMedian, 5),
  })}\n`,
);
