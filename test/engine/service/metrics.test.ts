/** `/metrics`, as Prometheus reads it. */
import { describe, expect, it } from "vitest";
import { systemClock } from "#engine/base/clock.ts";
import { FairQueue } from "#engine/service/fair-queue.ts";
import { Metrics } from "#engine/service/metrics.ts";
import { answer, ask, post, startScripted } from "./test-service.ts";

async function figures(url: string): Promise<Map<string, number>> {
  const response = await fetch(`${url}/metrics`);
  expect(response.headers.get("content-type")).toContain("text/plain");
  const lines = (await response.text()).split("\n").filter((line) => line.startsWith("zephyr_"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]),
  );
}

const UNSURE = { probabilities: { safe: 0.1, controversial: 0.8, unsafe: 0.1 }, hazards: ["S2"] };

describe("metrics", () => {
  it("count requests, tokens and times by how they ended and who answered", async () => {
    const { url } = await startScripted({ script: answer("three little words") });
    await (await post(url, ask("hi"))).text();
    await (await post(url, ask("hi", { stream: true }))).text();
    const read = await figures(url);
    expect(read.get('zephyr_requests_total{outcome="stop",adapter="base"}')).toBe(2);
    expect(read.get('zephyr_tokens_total{kind="completion",adapter="base"}')).toBe(6);
    expect(read.get('zephyr_tokens_total{kind="prompt",adapter="base"}')).toBe(4);
    expect(read.get("zephyr_queue_seconds_count")).toBe(2);
    expect(read.get("zephyr_first_text_seconds_count")).toBe(2);
    expect(read.get('zephyr_request_seconds_bucket{le="320"}')).toBe(2);
    expect(read.get('zephyr_adapter_active{adapter="base"}')).toBe(1);
    expect(read.get("zephyr_streams")).toBe(2);
    expect(read.get("zephyr_queue_running")).toBe(0);
  });

  it("count verdicts by stage, action and hazard, and errors by their code", async () => {
    const guard = {
      name: "guard",
      check: async ({ stage }: { stage: string }) => (stage === "output" ? [UNSURE] : []),
    };
    const { url } = await startScripted({ script: answer("ok"), moderators: [guard] });
    await (await post(url, ask("gas the jews"))).text();
    await (await post(url, ask("hi"))).text();
    await (await post(url, { messages: [] })).text();
    const read = await figures(url);
    const verdicts = 'zephyr_verdicts_total{stage="input",action="block",category="S10"}';
    expect(read.get(verdicts)).toBe(1);
    expect(read.get('zephyr_verdicts_total{stage="output",action="warn",category="S2"}')).toBe(1);
    expect(read.get('zephyr_requests_total{outcome="content_filter",adapter="base"}')).toBe(1);
    expect(read.get('zephyr_refused_total{status="400",code="invalid_request"}')).toBe(1);
  });

  it("hold nothing of what people wrote", async () => {
    const { url } = await startScripted({ script: answer("purple elephants") });
    await (
      await post(url, ask("green giraffes", { metadata: { person: "p1", guild: "g1" } }))
    ).text();
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).not.toMatch(/giraffe|elephant|p1\b|g1\b/);
  });

  it("tell the sixteen adapters apart that answered last, however many there were", async () => {
    const { backend, adapters } = await startScripted();
    const queue = new FairQueue({ slots: 1, limit: 1, clock: systemClock });
    const metrics = new Metrics({ backend, queue, adapters });
    const times = { queuedMs: 1, firstTextMs: 1, totalMs: 1 };
    const record = (adapter: string, outcome: string) =>
      metrics.record({ outcome, adapter, promptTokens: 1, completionTokens: 1, ...times });
    record("night-0", "stop");
    record("night-0", "length");
    for (let night = 1; night <= 15; night += 1) record(`night-${night}`, "stop");
    record("night-0", "stop");
    record("night-16", "stop");
    const text = await metrics.text();
    const named = new Set(text.match(/night-\d+/g));
    expect(named.size).toBe(16);
    expect(named).not.toContain("night-1");
    expect(text).toContain('zephyr_requests_total{outcome="stop",adapter="night-0"} 2');
  });

  it("need the key where the engine has one", async () => {
    const { url } = await startScripted({ apiKey: "sesame" });
    expect((await fetch(`${url}/metrics`)).status).toBe(401);
  });
});

describe("metrics of threads", () => {
  it("tell the memory of the backend's own threads, where it has any", async () => {
    const { backend, adapters } = await startScripted();
    const queue = new FairQueue({ slots: 1, limit: 1, clock: systemClock });
    const thread = { thread: "decoding", heapBytes: 30, usedBytes: 20, externalBytes: 10 };
    const threads = [thread];
    const own = Object.assign(Object.create(backend), { threadMemory: async () => threads });
    const metrics = new Metrics({ backend: own, queue, adapters });
    const text = await metrics.text();
    expect(text).toContain('zephyr_thread_heap_bytes{thread="decoding"} 30');
    expect(text).toContain('zephyr_thread_heap_used_bytes{thread="decoding"} 20');
    expect(text).toContain('zephyr_thread_external_bytes{thread="decoding"} 10');
    expect(await new Metrics({ backend, queue, adapters }).text()).not.toContain('thread="');
    threads.pop();
    expect(await metrics.text(), "it has ended").not.toContain('thread="');
  });
});
