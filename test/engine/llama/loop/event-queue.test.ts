import { describe, expect, test } from "vitest";
import { EventQueue } from "#engine/llama/loop/event-queue.ts";

async function collect<T>(queue: EventQueue<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of queue) items.push(item);
  return items;
}

describe("EventQueue", () => {
  test("gives what was written before and after the reader came, in order", async () => {
    const queue = new EventQueue<number>();
    queue.push(1);
    const reading = collect(queue);
    await Promise.resolve();
    queue.push(2);
    queue.push(3);
    queue.end();
    expect(await reading).toEqual([1, 2, 3]);
  });

  test("gives what is left before the error", async () => {
    const queue = new EventQueue<number>();
    queue.push(1);
    queue.fail(new Error("broken"));
    const items: number[] = [];
    await expect(
      (async () => {
        for await (const item of queue) items.push(item);
      })(),
    ).rejects.toThrow("broken");
    expect(items).toEqual([1]);
  });

  test("takes nothing after its end", async () => {
    const queue = new EventQueue<number>();
    queue.end();
    queue.push(1);
    queue.fail(new Error("late"));
    expect(await collect(queue)).toEqual([]);
  });
});
