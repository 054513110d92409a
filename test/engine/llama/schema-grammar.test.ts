/** Grammars are held to what they let a model with random weights say, by an independent validator. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LocalBackend, openLocalBackend } from "#engine/backends/local.ts";
import { isCoded } from "#engine/base/errors.ts";
import { jsonObjectGrammar, schemaToGrammar } from "#engine/llama/schema-grammar.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { ask, request } from "../backends/ask.ts";

const folder = mkdtempSync(join(tmpdir(), "grammar-"));
const SEEDS = 12;
let backend: LocalBackend;

beforeAll(async () => {
  const modelPath = join(folder, "random.gguf");
  writeRandomModel(modelPath, { libraries: cpuLibraries(), shape: { contextTokens: 1024 } });
  backend = await openLocalBackend({
    modelPath,
    modelId: "random",
    gpu: "cpu",
    gpuLayers: 0,
    threads: 1,
    contextTokens: 1024,
    streams: 4,
  });
});

afterAll(async () => {
  await backend[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

async function answers(shape: Parameters<typeof request>[1], maxTokens = 600) {
  const seeds = Array.from({ length: SEEDS }, (_, seed) => seed);
  return Promise.all(
    seeds.map((seed) =>
      ask(
        backend,
        request("x", {
          sampling: { temperature: 1, topP: 1, topK: 0, minP: 0, seed },
          maxTokens,
          ...shape,
        }),
      ),
    ),
  );
}

const TREE = {
  $defs: {
    node: {
      type: "object",
      properties: {
        value: { enum: [1, 2] },
        next: { anyOf: [{ $ref: "#/$defs/node" }, { type: "null" }] },
      },
      required: ["value", "next"],
      additionalProperties: false,
    },
  },
  $ref: "#/$defs/node",
};

const SCHEMAS: Readonly<Record<string, object>> = {
  "required and optional properties": {
    type: "object",
    properties: {
      mood: { enum: ["good", "bad"] },
      stars: { type: "integer" },
      sure: { type: "boolean" },
      note: { type: ["null", "boolean"] },
    },
    required: ["stars"],
    additionalProperties: false,
  },
  "only optional properties": {
    type: "object",
    properties: { a: { type: "null" }, b: { type: "boolean" }, c: { const: 'é"\\\n😀' } },
    additionalProperties: false,
  },
  "bounded lists of bounded strings": {
    type: "array",
    items: { type: "string", minLength: 2, maxLength: 5 },
    minItems: 2,
    maxItems: 4,
  },
  "nested objects": {
    type: "object",
    properties: {
      inner: { type: "object", properties: { x: { type: "boolean" } }, required: ["x"] },
    },
    required: ["inner"],
  },
  "a schema that refers to itself": TREE,
  "one of several": { anyOf: [{ const: "yes" }, { type: "boolean" }, { enum: [3, null] }] },
};

describe("the grammar of a schema", () => {
  it.each(Object.keys(SCHEMAS))("lets a model say only what is valid: %s", async (name) => {
    const schema = SCHEMAS[name];
    const validate = new Ajv2020({ strict: false }).compile(schema ?? {});
    const ended = (await answers({ shape: { type: "json", schema } })).filter(
      // Random weights spell characters in overlong bytes, too, which libllama's grammar takes for them.
      ({ end, text }) => end.reason === "stop" && !text.includes("\uFFFD"),
    );
    expect(ended.length).toBeGreaterThan(SEEDS / 3);
    for (const { text } of ended) {
      expect([text, validate(JSON.parse(text))]).toEqual([text, true]);
    }
    expect(new Set(ended.map(({ text }) => text)).size).toBeGreaterThan(1);
  });

  it("of any object begins one, and of GBNF follows its rules", async () => {
    for (const { text } of await answers({ shape: { type: "json", schema: null } }, 8)) {
      expect(text.trimStart().startsWith("{")).toBe(true);
    }
    const gbnf = 'root ::= ("ab" | "cd"){2,3}';
    for (const { text, end } of await answers({ shape: { type: "grammar", gbnf } })) {
      expect([text, end.reason]).toEqual([expect.stringMatching(/^(ab|cd){2,3}$/), "stop"]);
    }
  });

  it("is refused where it is no GBNF, and others are served on", async () => {
    const broken = ask(backend, request("x", { shape: { type: "grammar", gbnf: "root ::= (" } }));
    const error = await broken.catch((cause: unknown) => cause);
    expect(isCoded(error, "invalid_request")).toBe(true);
    expect((await ask(backend, request("x"))).text).not.toBe("");
  });
});

describe("a schema that is not served", () => {
  it.each([
    [{ type: "string", pattern: "^a" }, "schema.pattern"],
    [{ type: "integer", minimum: 3 }, "schema.minimum"],
    [{ type: "thing" }, "schema.type"],
    [
      { type: "object", properties: { a: { type: "array", items: { not: {} } } } },
      "properties.a.items.not",
    ],
    [{ enum: [] }, "schema.enum"],
    [{ $ref: "https://elsewhere" }, "schema.$ref"],
    [{ $ref: "#/$defs/none" }, "#/$defs/none"],
    [{ type: "array", maxItems: 1e9 }, "schema.maxItems"],
    [
      { type: "object", properties: {}, additionalProperties: { type: "string" } },
      "additionalProperties",
    ],
    [["no"], "schema"],
    [undefined, "schema"],
  ])("%j is refused, naming the place", (schema, place) => {
    expect(() => schemaToGrammar(schema)).toThrow(place);
  });

  it("is refused when it is deeper or larger than any answer needs", () => {
    let deep: object = { type: "boolean" };
    for (let i = 0; i < 100; i++) deep = { type: "array", items: deep };
    expect(() => schemaToGrammar(deep)).toThrow("depth");
    const entries = Array.from({ length: 2_000 }, (_, i) => [`p${i}`, { type: "boolean" }]);
    const wide = { type: "object", properties: Object.fromEntries(entries) };
    expect(() => schemaToGrammar(wide)).toThrow("parts");
  });
});

it("the grammar of any object needs no schema", () => {
  expect(jsonObjectGrammar()).toContain("root ::= ws object ws");
});
