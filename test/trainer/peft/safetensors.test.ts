import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isCoded } from "#engine/base/errors.ts";
import { SafetensorsFile, writeSafetensors } from "#trainer/peft/safetensors.ts";

const path = join(mkdtempSync(join(tmpdir(), "safetensors-")), "file.safetensors");

/** A file of this header, and so many bytes of data behind it. */
function written(header: object | string, dataBytes: number, claimedBytes?: bigint): string {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimedBytes ?? BigInt(json.length));
  writeFileSync(path, Buffer.concat([length, json, Buffer.alloc(dataBytes)]));
  return path;
}

function raw(text: string): string {
  writeFileSync(path, text);
  return path;
}

const entry = (shape: number[], begin: number, end: number, dtype = "F32") => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

test("what is written is read back, and the header is what the format says", () => {
  writeSafetensors(
    path,
    [
      { name: "b", shape: [2, 3], values: () => Float32Array.from([1, 2, 3, 4, 5, -6.5]) },
      { name: "a", shape: [1], values: () => Float32Array.from([7]) },
    ],
    { format: "pt" },
  );
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE());
  expect(length % 8).toBe(0);
  expect(JSON.parse(bytes.toString("utf8", 8, 8 + length))).toEqual({
    __metadata__: { format: "pt" },
    b: entry([2, 3], 0, 24),
    a: entry([1], 24, 28),
  });
  using file = SafetensorsFile.open(path);
  const [b, a] = file.tensors;
  expect(b).toMatchObject({ name: "b", dtype: "F32", shape: [2, 3], bytes: 24 });
  expect(b && [...file.readFloats(b)]).toEqual([1, 2, 3, 4, 5, -6.5]);
  expect(a && [...file.readFloats(a)]).toEqual([7]);
});

test("F16 and BF16 become the same numbers in F32", () => {
  written({ h: entry([3], 0, 6, "F16"), b: entry([2], 6, 10, "BF16") }, 10);
  const bytes = readFileSync(path);
  const data = bytes.length - 10;
  for (const [i, half] of [0x3c00, 0xc100, 0x0001, 0x3f80, 0xc0a0].entries()) {
    bytes.writeUInt16LE(half, data + 2 * i);
  }
  writeFileSync(path, bytes);
  using file = SafetensorsFile.open(path);
  const [h, b] = file.tensors;
  expect(h && [...file.readFloats(h)]).toEqual([1, -2.5, 2 ** -24]);
  expect(b && [...file.readFloats(b)]).toEqual([1, -5]);
});

describe("a hostile file is refused before its claims are followed", () => {
  test.each<[string, () => string, RegExp]>([
    ["no header", () => raw("abc"), /cut short after 3 bytes/],
    ["a header of 2⁶³ bytes", () => written({}, 0, 2n ** 63n), /claims 9223372036854775808 bytes/],
    ["a header beyond the file", () => written({}, 0, 100n), /claims 100 bytes/],
    ["a header that is no JSON", () => written("{,}", 0), /not a JSON object/],
    ["a header that is a list", () => written("[1]", 0), /not a JSON object/],
    ["no tensor", () => written({ __metadata__: {} }, 0), /claims 0 tensors/],
    [
      "too many tensors",
      () => written(Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [i, 0])), 0),
      /claims 20000 tensors/,
    ],
    ["an unknown dtype", () => written({ a: entry([1], 0, 4, "F33") }, 4), /unknown dtype/],
    [
      "a dtype of the prototype's",
      () => written({ a: entry([1], 0, 4, "toString") }, 4),
      /unknown dtype/,
    ],
    ["a negative size", () => written({ a: entry([-1], 0, 4) }, 4), /shape/],
    [
      "a shape whose product overflows",
      () => written({ a: entry([2 ** 40, 2 ** 40], 0, 4) }, 4),
      /does not take 4 bytes/,
    ],
    [
      "a shape of other size than its bytes",
      () => written({ a: entry([2], 0, 4) }, 4),
      /does not take 4 bytes/,
    ],
    ["offsets backwards", () => written({ a: entry([1], 4, 0) }, 4), /does not take -4 bytes/],
    ["offsets beyond the file", () => written({ a: entry([4], 0, 16) }, 4), /end at/],
    [
      "overlapping tensors",
      () => written({ a: entry([2], 0, 8), b: entry([2], 4, 12) }, 12),
      /overlaps/,
    ],
    [
      "a gap",
      () => written({ a: entry([1], 0, 4), b: entry([1], 8, 12) }, 12),
      /overlaps another tensor, or a gap/,
    ],
    ["bytes behind the last tensor", () => written({ a: entry([1], 0, 4) }, 9), /end at/],
    ["nine dimensions", () => written({ a: entry([1, 1, 1, 1, 1, 1, 1, 1, 1], 0, 4) }, 4), /shape/],
  ])("%s", (_, make, message) => {
    const made = make();
    try {
      SafetensorsFile.open(made)[Symbol.dispose]();
      expect.unreachable();
    } catch (error) {
      expect(isCoded(error, "adapter_corrupt")).toBe(true);
      expect(String(error)).toMatch(message);
    }
  });
});

describe("what a sound header does not promise is checked too", () => {
  test("a number that is not finite, and a type that is no float", () => {
    written({ nan: entry([1], 0, 4), ints: entry([1], 4, 8, "I32") }, 8);
    const bytes = readFileSync(path);
    bytes.writeFloatLE(Number.NaN, bytes.length - 8);
    writeFileSync(path, bytes);
    using file = SafetensorsFile.open(path);
    const [nan, ints] = file.tensors;
    expect(() => nan && file.readFloats(nan)).toThrow(/not finite/);
    expect(() => ints && file.readFloats(ints)).toThrow(/I32, not F32/);
  });

  test("a file that is not there, or a folder", () => {
    expect(() => SafetensorsFile.open(`${path}.missing`)).toThrow(/ENOENT/);
    expect(() => SafetensorsFile.open(tmpdir())).toThrow();
  });

  test("whatever bytes come, the answer is a tensor list or a coded refusal", () => {
    const header = fc.oneof(fc.string(), fc.json());
    fc.assert(
      fc.property(
        header,
        fc.nat(64),
        fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
        (text, data, claim) => {
          written(text, data, claim ?? undefined);
          try {
            SafetensorsFile.open(path)[Symbol.dispose]();
          } catch (error) {
            expect(isCoded(error, "adapter_corrupt")).toBe(true);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
