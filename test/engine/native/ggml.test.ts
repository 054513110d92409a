import { describe, expect, it } from "vitest";
import { bindGgml, GGML_BACKEND_DEVICE_TYPE, GGML_TYPE } from "#engine/native/ggml.ts";
import { cpuLibraries } from "../../model/libraries.ts";

const ggml = bindGgml(cpuLibraries());

describe("libggml's bindings", () => {
  it("number types as this release does", () => {
    const names = Object.entries(GGML_TYPE).map(([name, type]) => [
      name,
      ggml.ggml_type_name(type),
    ]);
    expect(names.filter(([name, theirs]) => name !== theirs)).toEqual([]);
  });

  it.each([
    ["q8_0", 32, 34],
    ["q4_0", 32, 18],
    ["q4_K", 256, 144],
    ["q6_K", 256, 210],
  ] as const)("know %s's blocks: %i values in %i bytes", (type, values, bytes) => {
    expect(ggml.ggml_blck_size(GGML_TYPE[type])).toBe(values);
    expect(ggml.ggml_type_size(GGML_TYPE[type])).toBe(bytes);
    expect(ggml.ggml_row_size(GGML_TYPE[type], 3 * values)).toBe(3 * bytes);
  });

  it("quantise rows that a constant fills without loss", () => {
    const bytes = new Uint8Array(2 * 34);
    const row = new Float32Array(64).fill(127);
    expect(ggml.ggml_quantize_chunk(GGML_TYPE.q8_0, row, bytes, 0, 2, 32, null)).toBe(68);
    // Each block: the scale, 1 as a little-endian half, then 32 values of 127.
    expect([...bytes.subarray(0, 3)]).toEqual([0x00, 0x3c, 127]);
    expect(bytes.subarray(36).every((each) => each === 127)).toBe(true);
  });

  it("find the CPU among the devices", () => {
    const count = Number(ggml.ggml_backend_dev_count());
    const types = Array.from({ length: count }, (_, i) =>
      ggml.ggml_backend_dev_type(ggml.ggml_backend_dev_get(i)),
    );
    expect(types).toContain(GGML_BACKEND_DEVICE_TYPE.cpu);
  });
});
