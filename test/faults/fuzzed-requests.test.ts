import { Agent, request } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ScriptedBackend } from "../engine/service/scripted-backend.ts";
import { answer, serve } from "../engine/service/test-service.ts";

/** What came back. */
type Reply = { readonly status: number; readonly body: string };

const agent = new Agent({ keepAlive: true, maxSockets: 16 });
let served: Awaited<ReturnType<typeof serve>>;

beforeAll(async () => {
  served = await serve(new ScriptedBackend({ streams: 4, script: answer("fine") }), {
    queueLimit: 64,
  });
});

afterAll(async () => {
  agent.destroy();
  await served.service.drain(0);
});

function send(path: string, body: Uint8Array | string): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(
      served.url + path,
      { method: "POST", agent, headers: { "content-type": "application/json" } },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => {
          text += piece;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
        response.on("error", reject);
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

const message = { role: "user", content: "hi" };
const valid = { messages: [message], max_tokens: 4 };
const notText = fc.oneof(
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.string()),
  fc.object(),
);
const notNumber = fc.oneof(fc.string(), fc.boolean(), fc.array(fc.integer()), fc.object());
const notFlag = fc.oneof(fc.string(), fc.integer(), fc.array(fc.boolean()));
const notObject = fc.oneof(fc.string({ minLength: 1 }), fc.integer(), fc.boolean());
const outside = (low: number, high: number) =>
  fc.oneof(
    // Minus zero is excluded by no bound, and written as zero.
    fc.double({ max: low, noNaN: true, noDefaultInfinity: true }).filter((number) => number < low),
    fc
      .double({ min: high, noNaN: true, noDefaultInfinity: true })
      .filter((number) => number > high),
    notNumber,
  );
const badMessage = fc.oneof(
  notText,
  fc.string(),
  fc.record({ role: fc.string().map((text) => `x${text}`), content: fc.string() }),
  fc.record({
    role: fc.constant("user"),
    content: notText.filter((value) => !Array.isArray(value)),
  }),
  fc.record({
    role: fc.constant("user"),
    content: fc.array(fc.record({ type: fc.constant("image_url"), image_url: fc.string() }), {
      minLength: 1,
    }),
  }),
);
/** Fields with values that they do not take. */
const badField = fc.oneof(
  fc.record({
    messages: fc.oneof(
      notText.filter((value) => !Array.isArray(value)),
      fc.constant([]),
    ),
  }),
  fc.record({ messages: fc.array(badMessage, { minLength: 1, maxLength: 4 }) }),
  fc.record({ temperature: outside(0, 2) }),
  fc.record({ top_p: fc.oneof(outside(0, 1), fc.constant(0)) }),
  fc.record({ min_p: outside(0, 1) }),
  fc.record({ top_k: fc.oneof(outside(0, 1_000_000), fc.constant(1.5)) }),
  fc.record({ n: fc.oneof(outside(1, 16), fc.constant(2.5)) }),
  fc.record({ max_tokens: fc.oneof(outside(1, 1_000_000), fc.constant(0.5)) }),
  fc.record({ deadline_ms: outside(1, 86_400_000) }),
  fc.record({ stop: fc.oneof(fc.integer(), fc.constant(""), fc.constant(Array(17).fill("a"))) }),
  fc.record({ stream: notFlag }),
  fc.record({ logprobs: notFlag }),
  fc.record({ top_logprobs: fc.integer({ min: 0, max: 20 }) }),
  fc.record({ service_tier: fc.string().map((text) => `x${text}`) }),
  fc.record({ model: fc.string({ minLength: 1 }).map((text) => `no:${text}`) }),
  fc.record({ metadata: notObject }),
);
const encode = (value: unknown) => Buffer.from(JSON.stringify(value) ?? "");
/** Bodies that are no request, however they are read. */
const malformed: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).filter((bytes) => !isJson(Buffer.from(bytes))),
  fc.integer({ min: 1, max: 40 }).map((cut) => encode(valid).subarray(0, -cut)),
  fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null)).map(encode),
  fc.array(fc.jsonValue(), { maxLength: 5 }).map(encode),
  fc.integer({ min: 1, max: 5000 }).map((depth) => Buffer.from("[".repeat(depth))),
  fc
    .integer({ min: 1, max: 5000 })
    .map((depth) => Buffer.from("[".repeat(depth) + "]".repeat(depth))),
  badField.map((field) => encode({ ...valid, ...field })),
  badField.map((field) => encode({ ...valid, ...field, ["__proto__"]: { n: 1 } })),
);

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString());
    return true;
  } catch {
    return false;
  }
}

async function each(
  bodies: readonly Uint8Array[],
  check: (reply: Reply, body: string) => void,
  path: string,
) {
  const left = [...bodies.entries()];
  const worker = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      check(await send(path, next[1]), Buffer.from(next[1]).toString().slice(0, 300));
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

describe("fuzzed requests", () => {
  it("of 10,000 malformed bodies each gets 4xx in the shape of OpenAI's errors, and the engine lives", async () => {
    await each(
      fc.sample(malformed, { numRuns: 10_000, seed: 20_260 }),
      ({ status, body }, sent) => {
        if (status < 400 || status >= 500) throw new Error(`${status} for ${sent}`);
        const { error } = JSON.parse(body);
        expect(typeof error.message, sent).toBe("string");
        expect(error.type, sent).toMatch(/_error$/);
        expect(error.code, sent).toMatch(/^[a-z_]+$/);
      },
      "/v1/chat/completions",
    );
    const reply = await send("/v1/chat/completions", encode(valid));
    expect([reply.status, JSON.parse(reply.body).choices[0].message.content]).toEqual([
      200,
      "fine",
    ]);
    expect(await (await fetch(`${served.url}/health`)).json()).toMatchObject({
      status: "ok",
      queue: { waiting: 0, running: 0 },
    });
  });

  it("with any JSON at all on other routes never make it fail by itself", async () => {
    const anything = fc.sample(fc.jsonValue({ maxDepth: 4 }), { numRuns: 500, seed: 7 });
    for (const path of ["/v1/moderations", "/v1/adapters/base/activate", "/v1/adapters/x/load"]) {
      await each(
        anything.map(encode),
        ({ status }, sent) => {
          if (status >= 500) throw new Error(`${status} from ${path} for ${sent}`);
        },
        path,
      );
    }
    expect((await fetch(`${served.url}/health`)).status).toBe(200);
  });
});
