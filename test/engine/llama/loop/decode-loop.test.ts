import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MessageChannel } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConversationStore } from "#engine/llama/loop/conversation-store.ts";
import { DecodeLoop } from "#engine/llama/loop/decode-loop.ts";
import type { LaneShape } from "#engine/llama/loop/lane-opener.ts";
import type { CompletionRequest, StreamEvent, StreamSink } from "#engine/llama/loop/stream.ts";
import { LoadedModel } from "#engine/llama/model.ts";
import { cpuLibraries } from "../../../model/libraries.ts";
import { writeRandomAdapter } from "../../../model/random-adapter.ts";
import { writeRandomModel } from "../../../model/random-model.ts";

const folder = mkdtempSync(join(tmpdir(), "decode-loop-"));
const modelPath = join(folder, "random.gguf");
const adapterPath = (name: string) => join(folder, `${name}.gguf`);
const TOKENS = 60;

beforeAll(() => {
  const libraries = cpuLibraries();
  const { shape: modelShape } = writeRandomModel(modelPath, { libraries });
  ["one", "two"].forEach((name, i) => {
    writeRandomAdapter(adapterPath(name), { libraries, shape: modelShape, seed: i + 1 });
  });
});

afterAll(() => rmSync(folder, { recursive: true }));

const shape: LaneShape = {
  ...{
    streams: 4,
    contextTokens: 256,
    batchTokens: 64,
    threads: 1,
    batchThreads: 1,
    lanesAtOnce: 1,
  },
  ...{ cacheType: "f16" as const, cacheSetting: "sequences" as const },
};

function completion(model: LoadedModel, content: string, adapter: string | null) {
  return {
    prompt: model.vocabulary.encodeChat([{ role: "user", content }], { addGenerationPrompt: true }),
    sharedTokens: 0,
    sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, seed: 1 },
    maxTokens: TOKENS,
    stop: [],
    adapter,
  };
}

/** Tells when a completion began and ended, and of each piece of text with a single token how many decodes it took. */
function timed(loop: DecodeLoop, onText: () => void = () => {}) {
  const gaps: number[] = [];
  let before: number | undefined;
  let settle: (reason: string) => void = () => {};
  const ended = new Promise<string>((resolve) => {
    settle = resolve;
  });
  const events: StreamSink = {
    push: (event: StreamEvent) => {
      if (event.type === "end") settle(event.reason);
      if (event.type !== "text") return;
      const now = loop.stats.decodes;
      if (before !== undefined && event.tokenIds.length === 1) gaps.push(now - before);
      before = now;
      onText();
    },
    end: () => {},
    fail: (error) => settle(String(error)),
  };
  return { events, gaps, ended };
}

describe("an adapter that begins to serve while another one's streams run", () => {
  test("adds at most one decode to any stream's token", async () => {
    await using model = await LoadedModel.open(modelPath, {
      libraries: cpuLibraries(),
      gpuLayers: 0,
    });
    {
      await using loop = new DecodeLoop(model.weights, {
        shape,
        store: undefined,
        onChange: () => {},
      });
      for (const name of ["one", "two"]) {
        await loop.addAdapter(name, await model.loadAdapter(adapterPath(name)));
      }
      let later: ReturnType<typeof timed> | undefined;
      let texts = 0;
      const begin = () => {
        texts += 1;
        // Both have read their prompts by then, which take a decode more between the other's tokens.
        if (texts < 20 || later !== undefined) return;
        later = timed(loop);
        loop.submit(completion(model, "why", "two"), later.events);
      };
      const running = ["hello there", "what is it"].map((content) => {
        const stream = timed(loop, begin);
        loop.submit(completion(model, content, "one"), stream.events);
        return stream;
      });
      for (const { ended } of running) expect(await ended).toMatch(/^(stop|length)$/);
      expect(await later?.ended).toMatch(/^(stop|length)$/);
      const gaps = running.flatMap((stream) => stream.gaps);
      expect(gaps.length).toBeGreaterThan(TOKENS / 2);
      expect(gaps, "the other adapter's came while they ran").toContain(2);
      // One for the token itself, one for the other adapter's.
      expect(Math.max(...gaps)).toBeLessThanOrEqual(2);
    }
  });
});

describe("lanes that compute side by side", () => {
  test("answer to the token as lanes in turn do", async () => {
    await using model = await LoadedModel.open(modelPath, {
      libraries: cpuLibraries(),
      gpuLayers: 0,
    });
    const inTurn = await answersWith(model, 1);
    expect(inTurn.flat().length).toBeGreaterThan(TOKENS);
    expect(await answersWith(model, 2)).toEqual(inTurn);
    expect(await answersWith(model, 3)).toEqual(inTurn);
  });
});

describe("messages that came during a step", () => {
  test("are all read before the next one, so that the last abort waits no longer than the first", async () => {
    await using model = await LoadedModel.open(modelPath, {
      libraries: cpuLibraries(),
      gpuLayers: 0,
    });
    const options = { shape: { ...shape, lanesAtOnce: 2 }, store: undefined, onChange: () => {} };
    await using loop = new DecodeLoop(model.weights, options);
    const { port1, port2 } = new MessageChannel();
    const decodesAt: number[] = [];
    const gone = loop.submit(completion(model, "why", null), timed(loop).events);
    port2.on("message", () => {
      decodesAt.push(loop.stats.decodes);
      loop.abort(gone);
    });
    let texts = 0;
    const running = timed(loop, () => {
      texts += 1;
      if (texts === 5) for (let i = 0; i < 6; i++) port1.postMessage(i);
    });
    loop.submit(completion(model, "what is it", null), running.events);
    await running.ended;
    port1.close();
    expect(decodesAt).toHaveLength(6);
    expect((decodesAt.at(-1) ?? 0) - (decodesAt[0] ?? 0)).toBe(0);
  });
});

describe("a new conversation while others run", () => {
  test("stands next to them in the ids; what stood there moves, and goes on elsewhere as it was", async () => {
    await using model = await LoadedModel.open(modelPath, {
      libraries: cpuLibraries(),
      gpuLayers: 0,
    });
    const options = { shape, store: undefined, onChange: () => {} };
    const brief = (content: string) => ({ ...completion(model, content, null), maxTokens: 4 });
    const kept = "tell me why the sea is as old as the rain";
    const asked = ["hello there old friend of mine", kept, "what is it that we see", "yes and no"];
    await using quiet = new DecodeLoop(model.weights, options);
    await tokensOf(quiet, brief(kept));
    const again = await tokensOf(quiet, brief(kept));

    await using loop = new DecodeLoop(model.weights, options);
    for (const content of asked) await tokensOf(loop, brief(content));
    // Its own place is the third, and the oldest conversation's is the first: between them stands the one to be kept.
    const third = completion(model, asked[2] ?? "", null);
    const before = loop.stats;
    await Promise.all([
      tokensOf(loop, { ...third, maxTokens: TOKENS }),
      tokensOf(loop, completion(model, "how many stones are in the garden", null)),
    ]);
    const during = loop.stats;
    expect(during.decodes - before.decodes).toBe(during.microBatches - before.microBatches);
    const reused = during.reusedTokens;
    expect(await tokensOf(loop, brief(kept))).toEqual(again);
    expect(loop.stats.reusedTokens - reused).toBe(brief(kept).prompt.length - 1);
  });
});

describe("a new conversation that shares no more than its beginning with a parked one", () => {
  test("stands next to those at work all the same", async () => {
    await using model = await LoadedModel.open(modelPath, {
      libraries: cpuLibraries(),
      gpuLayers: 0,
    });
    const store = new ConversationStore(join(folder, "parked"), 1 << 24);
    await using loop = new DecodeLoop(model.weights, { shape, store, onChange: () => {} });
    const longEnoughToPark = "the sea is as old as the rain and the stones ".repeat(3);
    const brief = (content: string) => ({ ...completion(model, content, null), maxTokens: 4 });
    // Twice as many as there are places, in turn: the first four give way.
    for (const name of ["one", "two", "three", "four", "five", "six", "seven", "eight"]) {
      await tokensOf(loop, brief(`${name} ${longEnoughToPark}`));
    }
    expect(store.stats.parked).toBe(4);
    const before = loop.stats;
    // It goes on in the third place; the oldest conversation's is the first.
    const third = completion(model, `seven ${longEnoughToPark}`, null);
    await Promise.all([
      tokensOf(loop, { ...third, maxTokens: TOKENS }),
      tokensOf(loop, completion(model, "how many stones are in the garden", null)),
    ]);
    const during = loop.stats;
    expect(during.decodes - before.decodes).toBe(during.microBatches - before.microBatches);
  });
});

/** A completion's tokens, once it has ended. */
function tokensOf(loop: DecodeLoop, request: CompletionRequest): Promise<readonly number[]> {
  const tokens: number[] = [];
  return new Promise((resolve, reject) => {
    const events: StreamSink = {
      push: (event: StreamEvent) => {
        if (event.type === "text") tokens.push(...event.tokenIds);
        if (event.type === "end") resolve(tokens);
      },
      end: () => {},
      fail: reject,
    };
    loop.submit(request, events);
  });
}

/** Tokens of greedy answers, one on each lane: what shares a batch would move the rounding. */
async function answersWith(
  model: LoadedModel,
  lanesAtOnce: number,
): Promise<readonly (readonly number[])[]> {
  const options = { shape: { ...shape, lanesAtOnce }, store: undefined, onChange: () => {} };
  await using loop = new DecodeLoop(model.weights, options);
  for (const name of ["one", "two"]) {
    await loop.addAdapter(name, await model.loadAdapter(adapterPath(name)));
  }
  const questions = ["hello there", "why", "what is it"];
  const answers = questions.map((content, index) =>
    tokensOf(loop, completion(model, content, [null, "one", "two"][index] ?? null)),
  );
  // Awaited here, or else the loop would be closed while it answers.
  return await Promise.all(answers);
}
