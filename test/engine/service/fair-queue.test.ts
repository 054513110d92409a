import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FairQueue, type Turn } from "#engine/service/fair-queue.ts";

function fakeClock() {
  let nowMs = 0;
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

const never = new AbortController().signal;
const settle = async () => {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
};

/** A queue that notes who starts; `next` ends the oldest running turn. */
function observed(options: { slots?: number; limit?: number } = {}) {
  const clock = fakeClock();
  const queue = new FairQueue({ slots: options.slots ?? 1, limit: options.limit ?? 100, clock });
  const started: string[] = [];
  const running: Turn[] = [];
  const enter = (owner: string, name = owner, signal = never, positions: number[] = []) => {
    const [guild = "", person = ""] = owner.split("/");
    const onPosition = (position: number) => positions.push(position);
    const admission = queue.admit({ guild, person }, 1, signal, onPosition);
    if (admission.type === "full") return admission;
    for (const pending of admission.turns) {
      pending.then(
        (turn) => {
          started.push(name);
          running.push(turn);
        },
        () => started.push(`${name} left`),
      );
    }
    return admission;
  };
  const next = async () => {
    await settle();
    running.shift()?.[Symbol.dispose]();
    await settle();
  };
  return { queue, clock, started, enter, next, running };
}

describe("the order of a fair queue", () => {
  it("takes guilds in turn, and in each guild its people in turn", async () => {
    const { enter, next, started } = observed();
    enter("busy/z");
    for (const name of ["a1", "a2", "a3"]) enter("A/a", name);
    enter("A/b", "b1");
    enter("B/c", "c1");
    enter("B/c", "c2");
    for (let turn = 0; turn < 7; turn++) await next();
    expect(started.slice(1)).toEqual(["a1", "c1", "b1", "c2", "a2", "a3"]);
  });

  it("tells each request how many go before it, whenever that changes", async () => {
    const { enter, next } = observed();
    enter("x/x");
    const positions: number[] = [];
    enter("A/a", "a1");
    enter("A/a", "a2");
    enter("A/a", "mine", never, positions);
    await next();
    enter("B/b");
    await next();
    await next();
    expect(positions).toEqual([2, 1, 2, 1, 0]);
  });

  it("runs at most as many as it has slots", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.constantFrom("A/a", "A/b", "B/a", "/"), { maxLength: 30 }),
        async (slots, owners) => {
          const { queue, enter, next, started, running } = observed({ slots });
          for (const owner of owners) enter(owner);
          await settle();
          while (running.length > 0) {
            expect(running.length).toBeLessThanOrEqual(slots);
            expect(queue.counts.running).toBe(running.length);
            await next();
          }
          expect(started).toHaveLength(owners.length);
          expect(queue.counts).toMatchObject({ waiting: 0, running: 0 });
        },
      ),
      { numRuns: 60 },
    );
  });

  it("never lets a newcomer of another guild wait behind a guild's flood", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }), async (flood) => {
        const { enter, next, started } = observed();
        for (let index = 0; index < flood; index++) enter("flood/a", "flood");
        enter("quiet/b", "quiet");
        for (let turn = 0; turn < flood + 1; turn++) await next();
        expect(started.indexOf("quiet")).toBeLessThanOrEqual(2);
      }),
      { numRuns: 20 },
    );
  });
});

describe("the bounds of a fair queue", () => {
  it("refuses what exceeds its limit, with a time that grows with the line", async () => {
    const { enter, next, clock } = observed({ limit: 2 });
    for (const name of ["a", "b", "c"]) expect(enter("/", name).type).toBe("admitted");
    expect(enter("/", "d")).toMatchObject({ type: "full", waiting: 2, retryAfterMs: 3000 });
    clock.pass(20_000);
    await next();
    enter("/", "e");
    expect(enter("/", "f")).toMatchObject({ type: "full", retryAfterMs: 14_400 });
  });

  it("lets one named guild take half of it at most", () => {
    const { enter } = observed({ limit: 4 });
    enter("/");
    expect(enter("A/a").type).toBe("admitted");
    expect(enter("A/b").type).toBe("admitted");
    expect(enter("A/c").type).toBe("full");
    expect(enter("B/a").type).toBe("admitted");
    expect(enter("/").type).toBe("admitted");
  });

  it("forgets those who leave, and moves the others up", async () => {
    const { enter, next, started, queue } = observed();
    const leave = new AbortController();
    const positions: number[] = [];
    enter("/", "first");
    enter("/", "leaver", leave.signal);
    enter("/", "last", never, positions);
    leave.abort();
    await settle();
    expect(queue.counts.waiting).toBe(1);
    await next();
    expect(started).toEqual(["first", "leaver left", "last"]);
    expect(positions).toEqual([1, 0]);
  });

  it("counts a turn once, however often it is disposed", async () => {
    const { enter, running, queue } = observed();
    enter("/");
    await settle();
    running[0]?.[Symbol.dispose]();
    running[0]?.[Symbol.dispose]();
    expect(queue.counts.running).toBe(0);
  });

  it("admits a request's turns all or none", () => {
    const { queue } = observed({ slots: 1, limit: 3 });
    const owner = { guild: "", person: "" };
    expect(queue.admit(owner, 5, never).type).toBe("full");
    expect(queue.counts).toMatchObject({ waiting: 0, running: 0 });
    expect(queue.admit(owner, 4, never).type).toBe("admitted");
    expect(queue.counts).toMatchObject({ waiting: 3, running: 1 });
  });
});
