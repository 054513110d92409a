import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LaneShape } from "#engine/llama/loop/lane-opener.ts";
import { LoopThread } from "#engine/llama/loop/loop-thread.ts";
import type { CompletionRequest, StreamEvent } from "#engine/llama/loop/stream.ts";
import { LoadedModel } from "#engine/llama/model.ts";
import { cpuLibraries } from "../../../model/libraries.ts";
import { writeRandomModel } from "../../../model/random-model.ts";

const folder = mkdtempSync(join(tmpdir(), "loop-thread-"));
const modelPath = join(folder, "random.gguf");

beforeAll(() => {
  writeRandomModel(modelPath, { libraries: cpuLibraries() });
});

afterAll(() => rmSync(folder, { recursive: true }));

const shape: LaneShape = {
  ...{
    streams: 2,
    contextTokens: 256,
    batchTokens: 64,
    threads: 1,
    batchThreads: 1,
    lanesAtOnce: 1,
  },
  ...{ cacheType: "f16" as const, cacheSetting: "sequences" as const },
};

const request: CompletionRequest = {
  prompt: Int32Array.of(1, 5, 6),
  sharedTokens: 0,
  sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, seed: 1 },
  maxTokens: 8,
  stop: [],
  adapter: null,
};

function openModel(): Promise<LoadedModel> {
  return LoadedModel.open(modelPath, { libraries: cpuLibraries(), gpuLayers: 0 });
}

async function readAll(events: AsyncIterable<StreamEvent>): Promise<readonly StreamEvent[]> {
  const all: StreamEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

describe("a decoding thread", () => {
  test("tells what it keeps in memory, and nothing once it is closed", async () => {
    await using model = await openModel();
    const thread = new LoopThread(model, { shape, waiting: 4 }, undefined);
    await readAll(thread.submit(request).events);
    const memory = await thread.memory();
    await thread[Symbol.asyncDispose]();
    expect(memory?.usedBytes).toBeGreaterThan(1 << 20);
    expect(memory?.heapBytes).toBeGreaterThanOrEqual(memory?.usedBytes ?? 0);
    expect(memory?.externalBytes).toBeGreaterThan(0);
    expect(await thread.memory()).toBeUndefined();
  });

  test("that dies fails what runs and what comes after, and closes all the same", async () => {
    await using model = await openModel();
    // Its heads are 16 numbers wide, which no block of Q8_0 fits: nothing but the thread itself finds that out here.
    const wrong: LaneShape = { ...shape, cacheType: "q8_0" };
    await using thread = new LoopThread(model, { shape: wrong, waiting: 4 }, undefined);
    const died = { code: "native_failed", message: expect.stringContaining("KV_TYPE=q8_0") };
    const reading = readAll(thread.submit(request).events);
    const adding = thread.removeAdapter("none");
    await expect(reading).rejects.toMatchObject(died);
    await adding;
    expect(() => thread.submit(request)).toThrow(expect.objectContaining(died));
    expect({ busy: thread.busy, waiting: thread.waiting }).toEqual({ busy: 0, waiting: 0 });
  });

  test("ends a completion that waits at once when it is aborted, and tells its reader nothing more", async () => {
    await using model = await openModel();
    await using thread = new LoopThread(model, { shape, waiting: 4 }, undefined);
    const completion = thread.submit(request);
    // The thread is only starting: it cannot have taken notice yet.
    thread.abort(completion);
    expect(thread.waiting).toBe(0);
    expect(await readAll(completion.events)).toEqual([
      { type: "end", reason: "aborted", completionTokens: 0 },
    ]);
    const next = await readAll(thread.submit(request).events);
    expect(next[0]).toMatchObject({ type: "start", promptTokens: 3 });
    expect(next.at(-1)).toMatchObject({ type: "end" });
  });

  test("refuses what is beyond its streams and its waiting places", async () => {
    await using model = await openModel();
    await using thread = new LoopThread(model, { shape, waiting: 1 }, undefined);
    const running = [1, 2, 3].map(() => readAll(thread.submit(request).events));
    expect(() => thread.submit(request)).toThrow(expect.objectContaining({ code: "queue_full" }));
    for (const events of await Promise.all(running)) expect(events.at(-1)?.type).toBe("end");
  });
});
