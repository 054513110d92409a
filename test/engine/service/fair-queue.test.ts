import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FairQueue, type Place, type Priority, type Turn } from "#engine/service/fair-queue.ts";

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
  const enter = (
    owner: string,
    name = owner,
    signal = never,
    positions: number[] = [],
    priority: Priority = "interactive",
  ) => {
    const [guild = "", person = ""] = owner.split("/");
    const onPlace = ({ position }: Place) => positions.push(position);
    const claim = { id: name, owner: { guild, person }, priority, count: 1, onPlace };
    const admission = queue.admit(claim, signal);
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
    const claim = (count: number) => ({ id: "", owner, priority: "interactive", count }) as const;
    expect(queue.admit(claim(5), never).type).toBe("full");
    expect(queue.counts).toMatchObject({ waiting: 0, running: 0 });
    expect(queue.admit(claim(4), never).type).toBe("admitted");
    expect(queue.counts).toMatchObject({ waiting: 3, running: 1 });
  });
});

describe("fairness between guilds and people", () => {
  it("whoever holds fewest turns goes first, so that a guild's long answers do not keep others out", async () => {
    const { enter, next, started } = observed({ slots: 4 });
    for (const name of ["a1", "a2", "a3", "a4"]) enter("A/a", name);
    for (const name of ["a5", "a6"]) enter("A/b", name);
    for (const name of ["b1", "b2", "b3"]) enter("B/b", name);
    for (let turn = 0; turn < 5; turn++) await next();
    // Two of A's end before A holds as few as B.
    expect(started.slice(4)).toEqual(["b1", "b2", "a5", "a6", "b3"]);
  });

  it("a talkative guild gets what is left over: measured over an hour of turns of a second", async () => {
    const { queue, clock } = observed({ slots: 4, limit: 64 });
    const ends: { atMs: number; turn: Turn }[] = [];
    const waits: Record<string, number[]> = { loud: [], quiet: [] };
    const endTurns = () => {
      for (const end of ends.splice(0)) {
        if (end.atMs <= clock.monotonicMs()) end.turn[Symbol.dispose]();
        else ends.push(end);
      }
    };
    const enter = (guild: string, person: string) => {
      const enteredMs = clock.monotonicMs();
      const claim = {
        id: "",
        owner: { guild, person },
        priority: "interactive",
        count: 1,
      } as const;
      const admission = queue.admit(claim, never);
      if (admission.type === "full") return;
      void admission.turns[0]?.then((turn) => {
        waits[guild]?.push(clock.monotonicMs() - enteredMs);
        ends.push({ atMs: clock.monotonicMs() + 1000, turn });
      });
    };
    for (let tick = 0; tick < 3600 * 4; tick++) {
      // The loud one's people fill all places that they may; the quiet one asks every ten seconds.
      for (let person = 0; person < 40; person++) enter("loud", `p${person}`);
      if (tick % 40 === 0) enter("quiet", "q");
      await settle();
      clock.pass(250);
      endTurns();
      await settle();
    }
    const { loud = [], quiet = [] } = waits;
    expect(quiet).toHaveLength(360);
    expect(Math.max(...quiet)).toBeLessThanOrEqual(1000);
    expect(loud.reduce((sum, ms) => sum + ms, 0) / loud.length).toBeGreaterThan(7000);
    expect(loud.length + quiet.length).toBeGreaterThan(0.99 * 4 * 3600);
  });

  it("one person fills a quarter of the places at most, so that others of the guild can still ask", () => {
    const { enter } = observed({ limit: 8 });
    enter("/");
    for (const name of ["a1", "a2"]) expect(enter("A/a", name).type).toBe("admitted");
    expect(enter("A/a", "a3").type).toBe("full");
    expect(enter("A/b", "b1").type).toBe("admitted");
  });
});

describe("background work", () => {
  it("goes after everyone who waits for an answer, and is told so", async () => {
    const { enter, next, started } = observed();
    enter("/", "first");
    const positions: number[] = [];
    enter("A/a", "night", never, positions, "background");
    enter("A/b", "day 1");
    enter("B/c", "day 2");
    for (let turn = 0; turn < 3; turn++) await next();
    expect(started).toEqual(["first", "day 1", "day 2", "night"]);
    expect(positions).toEqual([0, 1, 2, 1, 0]);
  });

  it("leaves a quarter of the slots to whoever comes", async () => {
    const { enter, started } = observed({ slots: 4 });
    for (let index = 0; index < 6; index++) enter("A/a", `night ${index}`, never, [], "background");
    await settle();
    expect(started).toHaveLength(3);
    enter("A/a", "day");
    await settle();
    expect(started.at(-1)).toBe("day");
  });

  it("is never starved: one turn in seventeen is its own", async () => {
    const { enter, next, started } = observed({ limit: 1000 });
    for (let index = 0; index < 40; index++) enter("/", "day");
    enter("/", "night", never, [], "background");
    for (let turn = 0; turn < 40; turn++) await next();
    expect(started.indexOf("night")).toBe(16);
  });

  it("may take half of the places to wait at most", () => {
    const { enter } = observed({ limit: 4 });
    enter("/", "running");
    for (const name of ["n1", "n2"]) {
      expect(enter("/", name, never, [], "background").type).toBe("admitted");
    }
    expect(enter("/", "n3", never, [], "background").type).toBe("full");
    expect(enter("/", "day").type).toBe("admitted");
  });
});

describe("where a request stands", () => {
  it("is known by its id while it waits and runs, with the time that its turns ahead will take", async () => {
    const { queue, enter, next, clock } = observed({ slots: 2 });
    for (const name of ["a", "b", "c", "d"]) enter("/", name);
    clock.pass(6000);
    await settle();
    expect(queue.find("a")).toBe("running");
    expect(queue.find("d")).toEqual({ position: 1, waitMs: 1000 });
    await next();
    // The mean moved by a fifth from one second towards the six that this turn took.
    expect(queue.find("d")).toEqual({ position: 0, waitMs: 1000 });
    expect(queue.waitMs).toBe(2000);
    await next();
    await next();
    await next();
    expect(queue.find("d")).toBeUndefined();
    expect(queue.waitMs).toBe(0);
  });
});
