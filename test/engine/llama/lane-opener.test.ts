import { expect, test } from "vitest";
import { streamsThatFit } from "#engine/llama/lane-opener.ts";

test("as many streams as wanted when memory holds them and the shared prompt's cache", () => {
  expect(streamsThatFit(32, 100_000, 1000)).toBe(32);
});

test("fewer when memory is short: 0.7 of 10,000 bytes hold seven caches, one of them the shared prompt's", () => {
  expect(streamsThatFit(32, 10_000, 1000)).toBe(6);
});

test("never less than one: whether even that fits, the allocation shows", () => {
  expect(streamsThatFit(32, 100, 1000)).toBe(1);
});
