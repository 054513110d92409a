#!/usr/bin/env node
/**
 * What the checks cost: `node test/bench/moderation.ts [--streams n] [--requests n]`.
 * The lexical layer's time for a request against the request's own at `n` streams, on the small model;
 * and how many tokens are held back before the first is shown, with and without a guard.
 */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type LocalBackend, openLocalBackend } from "#engine/backends/local.ts";
import { compileLexicon } from "#engine/moderation/lexical.ts";
import { Moderation, type Moderator } from "#engine/moderation/moderator.ts";

const NANO = fileURLToPath(new URL("../../deploy/models/nano/nano.gguf", import.meta.url));
const TOKENS = 96;
const { signal } = new AbortController();
const PROMPT =
  "Tell me a lot about volcanoes, how they form and what people who live near them should know about. ".repeat(
    5,
  );

const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "32" },
    requests: { type: "string", default: "96" },
  },
});
const [streams, requests] = [Number(values.streams), Number(values.requests)];

function moderationWith(moderators: readonly Moderator[]): Moderation {
  return new Moderation({ lexicon: compileLexicon(), moderators, onFailure: () => {} });
}

/** Answers with their pieces as they came, and how long each request took, ms. */
async function generate(backend: LocalBackend) {
  const pieces: string[][] = [];
  const times: number[] = [];
  let next = 0;
  const worker = async () => {
    while (next < requests) {
      next += 1;
      const startedMs = performance.now();
      const said: string[] = [];
      for await (const event of backend.generate({
        messages: [{ role: "user", content: `${next}. ${PROMPT}` }],
        sampling: { temperature: 0.8, topP: 1, topK: 40, minP: 0, seed: next },
        maxTokens: TOKENS,
        stop: [],
        adapter: null,
        signal,
      })) {
        if (event.type === "text") said.push(event.text);
      }
      times.push(performance.now() - startedMs);
      pieces.push(said);
    }
  };
  await Promise.all(Array.from({ length: streams }, worker));
  return { pieces, times };
}

/** CPU time of checking each request's input and output, ms. */
async function timeChecks(moderation: Moderation, answers: readonly (readonly string[])[]) {
  const cpu = process.cpuUsage();
  for (const [index, pieces] of answers.entries()) {
    const messages = [{ role: "user" as const, content: `${index}. ${PROMPT}` }];
    await moderation.checkInput(messages, signal);
    const check = moderation.openOutput({ messages, signal });
    for (const piece of pieces) await check.push(piece);
    await check.finish();
  }
  const { user, system } = process.cpuUsage(cpu);
  return (user + system) / 1000 / answers.length;
}

/** How many pieces come in before the first is let out. */
async function heldBack(moderation: Moderation, answers: readonly (readonly string[])[]) {
  const counts: number[] = [];
  for (const pieces of answers) {
    const check = moderation.openOutput({ messages: [{ role: "user", content: PROMPT }], signal });
    let count = 0;
    for (const piece of pieces) {
      count += 1;
      if ((await check.push(piece)).text !== "") break;
    }
    counts.push(count);
  }
  return Math.max(...counts);
}

const median = (numbers: readonly number[]) =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

await using backend = await openLocalBackend({
  modelPath: NANO,
  modelId: "nano",
  gpu: "cpu",
  gpuLayers: 0,
  threads: Math.max(1, Math.floor(availableParallelism() / 2)),
  contextTokens: 512,
  streams,
});
const passing: Moderator = { name: "passing", check: async () => [] };
const { pieces, times } = await generate(backend);
await timeChecks(moderationWith([]), pieces);
const checkMs = await timeChecks(moderationWith([]), pieces);
const requestMs = median(times);
process.stdout.write(
  `${JSON.stringify({
    streams,
    requests,
    requestMsMedian: Number(requestMs.toFixed(1)),
    lexicalMsPerRequest: Number(checkMs.toFixed(3)),
    lexicalShare: Number((checkMs / requestMs).toFixed(5)),
    heldBackPiecesLexical: await heldBack(moderationWith([]), pieces),
    heldBackPiecesWithGuard: await heldBack(moderationWith([passing]), pieces),
  })}\n`,
);
