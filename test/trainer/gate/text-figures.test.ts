import { expect, test } from "vitest";
import { isEmpty, isRepetitive } from "#trainer/gate/text-figures.ts";

test.each([
  "It is good. It is good. It is good. It is good. It is good.",
  "no no no no no",
  "Tea is a hot drink made of leaves. Coffee is better. Tea is a hot drink made of leaves. Milk too. Tea is a hot drink made of leaves.",
  "ellellellellellellellellellellell",
  "!!!!!!!!!!!!!!!!!!!!",
])("a loop: %s", (text) => {
  expect(isRepetitive(text)).toBe(true);
});

test.each([
  "Tea is a hot drink. It is made of leaves, and many people like it with milk.",
  "First, take an egg. Second, take a pan. Third, take some oil.",
  "Ha ha ha, that is funny!",
  "The code is 10000000.",
  "| a | b |\n| --- | --- |",
  "",
])("no loop: %s", (text) => {
  expect(isRepetitive(text)).toBe(false);
});

test("an answer without any word or number is none; one word is one", () => {
  expect([" ", "…!", "\n"].map(isEmpty)).toEqual([true, true, true]);
  expect(["Yes.", "42", "да"].map(isEmpty)).toEqual([false, false, false]);
});
