import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StateTurns } from "#engine/backends/remote/turns.ts";

describe("turns at one state", () => {
  it("never change it while somebody uses another one, whatever the order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom("a", "b", null), fc.nat(3)), { maxLength: 30 }),
        async (wishes) => {
          let state: string | null | undefined;
          const users = new Set<string | null>();
          const turns = new StateTurns<string | null>(async (to) => {
            expect(users.size).toBe(0);
            await Promise.resolve();
            state = to;
          });
          let served = 0;
          await Promise.all(
            wishes.map(async ([wish, ticks]) => {
              using _turn = await turns.take(wish);
              users.add(wish);
              for (let tick = 0; tick < ticks; tick++) {
                await Promise.resolve();
                expect(state).toBe(wish);
              }
              users.delete(wish);
              served += 1;
            }),
          );
          expect(served).toBe(wishes.length);
        },
      ),
    );
  });

  it("go on after a change that failed, and try it again", async () => {
    let fails = true;
    const turns = new StateTurns<string>(async () => {
      if (fails) throw new Error("not now");
    });
    await expect(turns.take("a")).rejects.toThrow("not now");
    fails = false;
    using turn = await turns.take("a");
    expect(turn).toBeDefined();
  });
});
