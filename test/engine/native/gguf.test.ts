import { mkdtempSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isCoded } from "#engine/base/errors.ts";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { GgufWriter } from "#engine/native/gguf-writer.ts";
import { cpuLibraries } from "../../model/libraries.ts";

const libraries = cpuLibraries();
const folder = mkdtempSync(join(tmpdir(), "gguf-"));
const good = join(folder, "good.gguf");
const bad = join(folder, "bad.gguf");

const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

function writeGood(): void {
  using writer = new GgufWriter(libraries);
  writer
    .set("general.architecture", "str", "llama")
    .set("n.u8", "u8", 250)
    .set("n.i16", "i16", -300)
    .set("n.u64", "u64", 5_000_000_000n)
    .set("n.f32", "f32", 1.5)
    .set("n.f64", "f64", 0.1)
    .set("flag", "bool", true)
    .setTexts("texts", ["▁the", "é", ""])
    .setNumbers("floats", Float32Array.of(0.5, -2))
    .setNumbers("ids", Int32Array.of(-1, 7))
    .addTensor({ name: "a", type: GGML_TYPE.f32, ne: [3, 2], data: () => floats(1, 2, 3, 4, 5, 6) })
    .addTensor({ name: "b", type: GGML_TYPE.f32, ne: [1], data: () => floats(9) })
    .write(good);
}
writeGood();

function codeOf(open: () => GgufFile): string {
  try {
    open()[Symbol.dispose]();
    return "opened";
  } catch (error) {
    if (isCoded(error)) return error.code;
    throw error;
  }
}

test("what was written is read back, each value in its type", () => {
  using file = GgufFile.open(good, libraries);
  expect(Object.fromEntries(file.keys.map((key) => [key, file.value(key)]))).toEqual({
    "general.architecture": "llama",
    "n.u8": 250,
    "n.i16": -300,
    "n.u64": 5_000_000_000,
    "n.f32": 1.5,
    "n.f64": 0.1,
    flag: true,
    texts: ["▁the", "é", ""],
    floats: [0.5, -2],
    ids: [-1, 7],
  });
  const a = file.tensor("a");
  expect(a).toMatchObject({ ne: [3, 2], type: GGML_TYPE.f32, bytes: 24 });
  if (a !== undefined) expect(file.readTensor(a)).toEqual(floats(1, 2, 3, 4, 5, 6));
});

test("typed getters refuse a missing or differently typed key as model_invalid", () => {
  using file = GgufFile.open(good, libraries);
  expect(file.number("n.u8")).toBe(250);
  expect(file.numberOr("absent", 4)).toBe(4);
  expect(file.value("absent")).toBeUndefined();
  expect(() => file.number("texts")).toThrow(/should hold a number/);
  expect(() => file.string("absent")).toThrow(/no such key/);
});

test("copied metadata can be overridden", () => {
  using source = GgufFile.open(good, libraries);
  using writer = new GgufWriter(libraries);
  writer.copyMetadata(source).set("n.u8", "u8", 1).removeKey("texts").write(bad);
  using copy = GgufFile.open(bad, libraries);
  expect([copy.value("n.u8"), copy.value("texts"), copy.value("ids")]).toEqual([
    1,
    undefined,
    [-1, 7],
  ]);
});

test("a missing file is model_missing, a folder and an empty file are model_invalid", () => {
  expect(codeOf(() => GgufFile.open(join(folder, "none.gguf"), libraries))).toBe("model_missing");
  expect(codeOf(() => GgufFile.open(folder, libraries))).toBe("model_invalid");
  expect(() => GgufFile.open(folder, libraries)).toThrow(/it is not a file/);
  writeFileSync(bad, "");
  expect(codeOf(() => GgufFile.open(bad, libraries))).toBe("model_invalid");
});

test("wrong magic, foreign version and absurd counts are model_invalid", () => {
  const change = (edit: (bytes: Buffer) => void): string => {
    const bytes = readFileSync(good);
    edit(bytes);
    writeFileSync(bad, bytes);
    return codeOf(() => GgufFile.open(bad, libraries));
  };
  expect(change((bytes) => bytes.write("GGML"))).toBe("model_invalid");
  expect(change((bytes) => bytes.writeUInt32LE(99, 4))).toBe("model_invalid");
  expect(change((bytes) => bytes.writeBigUInt64LE(2n ** 63n, 8))).toBe("model_invalid");
  expect(change((bytes) => bytes.writeBigUInt64LE(10_000n, 16))).toBe("model_invalid");
});

test("a file cut anywhere is model_invalid and never ends the process", () => {
  const whole = readFileSync(good);
  for (let length = 0; length < whole.length - 32; length += 7) {
    writeFileSync(bad, whole);
    truncateSync(bad, length);
    expect(codeOf(() => GgufFile.open(bad, libraries))).toBe("model_invalid");
  }
});

test("damaged bytes either leave a readable file or give model_invalid, never an abort", () => {
  const whole = readFileSync(good);
  const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(damage, (edits) => {
      const bytes = Buffer.from(whole);
      for (const [at, value] of edits) bytes[at] = value;
      writeFileSync(bad, bytes);
      expect(["opened", "model_invalid"]).toContain(codeOf(() => GgufFile.open(bad, libraries)));
    }),
    { numRuns: 300 },
  );
});

test("the writer refuses what ggml would abort on", () => {
  using writer = new GgufWriter(libraries);
  const tensor = { name: "t", type: GGML_TYPE.q8_0, ne: [32, 2], data: () => new Uint8Array(68) };
  writer.addTensor(tensor);
  expect(() => writer.addTensor(tensor)).toThrow(/added already/);
  expect(() => writer.addTensor({ ...tensor, name: "u", ne: [33, 2] })).toThrow(/blocks of 32/);
  expect(() => writer.addTensor({ ...tensor, name: "x".repeat(64) })).toThrow(/63 bytes/);
  expect(() => writer.addTensor({ ...tensor, name: "u", ne: [] })).toThrow(/dimensions/);
  expect(() => writer.set("", "u8", 1)).toThrow(/key/);
  expect(() => writer.set("general.alignment", "u32", 3)).toThrow(/key/);
  expect(() => writer.set("k", "str", "a\0b")).toThrow(/zero/);
});

test("a tensor that gives too few bytes leaves the old file standing", () => {
  using writer = new GgufWriter(libraries);
  writer.addTensor({ name: "t", type: GGML_TYPE.f32, ne: [4], data: () => new Uint8Array(3) });
  const before = readFileSync(good);
  expect(() => writer.write(good)).toThrow(/needs 16 bytes, got 3/);
  expect(readFileSync(good)).toEqual(before);
});
