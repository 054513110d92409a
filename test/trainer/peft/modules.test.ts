import fc from "fast-check";
import { expect, test } from "vitest";
import { deinterleaveRows, interleaveRows, llamaModules } from "#trainer/peft/modules.ts";

test("two heads of four rows: llama.cpp's converter takes 0 2 1 3, then 4 6 5 7", () => {
  const rows = Float32Array.from([0, 1, 2, 3, 4, 5, 6, 7]);
  expect([...interleaveRows(rows, 2, 8)]).toEqual([0, 2, 1, 3, 4, 6, 5, 7]);
});

test("a head of six rows of two columns moves whole rows: 0 3 1 4 2 5", () => {
  const rows = Float32Array.from([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5]);
  expect([...interleaveRows(rows, 1, 6)]).toEqual([0, 0.5, 3, 3.5, 1, 1.5, 4, 4.5, 2, 2.5, 5, 5.5]);
});

test("equals reshape(heads, 2, d/2, columns).swapaxes(1, 2) for any sizes, and goes back exactly", () => {
  const sizes = fc.tuple(
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 1, max: 6 }),
    fc.integer({ min: 1, max: 4 }),
  );
  fc.assert(
    fc.property(sizes, ([heads, half, columns]) => {
      const outputs = heads * 2 * half;
      const hf = Float32Array.from({ length: outputs * columns }, (_, i) => i);
      const expected: number[] = [];
      for (let head = 0; head < heads; head++)
        for (let j = 0; j < half; j++)
          for (let i = 0; i < 2; i++)
            for (let c = 0; c < columns; c++)
              expected.push(((head * 2 + i) * half + j) * columns + c);
      const gguf = interleaveRows(hf, heads, outputs);
      expect([...gguf]).toEqual(expected);
      expect(deinterleaveRows(gguf, heads, outputs)).toEqual(hf);
    }),
  );
});

test("rows that are no whole even heads are refused", () => {
  expect(() => interleaveRows(new Float32Array(6), 2, 6)).toThrow(/heads/);
  expect(() => interleaveRows(new Float32Array(7), 1, 6)).toThrow(/heads/);
});

test("a grouped-query block's modules have both names, the model's sizes, and heads on q and k only", () => {
  const shape = { nLayer: 2, nEmbd: 64, nHead: 4, nHeadKv: 2, headDim: 16, nFf: 96, nVocab: 9 };
  const constants = { ropeTheta: 1e4, rmsEps: 1e-5, tied: false, contextTokens: 64 };
  const modules = llamaModules({ ...shape, ...constants });
  expect(modules).toHaveLength(14);
  expect(modules.slice(7, 9)).toMatchObject([
    {
      tensor: "blk.1.attn_q.weight",
      module: "layers.1.self_attn.q_proj",
      outputs: 64,
      interleavedHeads: 4,
    },
    {
      tensor: "blk.1.attn_k.weight",
      module: "layers.1.self_attn.k_proj",
      outputs: 32,
      interleavedHeads: 2,
    },
  ]);
  expect(modules[13]).toMatchObject({
    tensor: "blk.1.ffn_down.weight",
    module: "layers.1.mlp.down_proj",
    inputs: 96,
  });
  expect(modules.filter(({ interleavedHeads }) => interleavedHeads !== undefined)).toHaveLength(4);
});
