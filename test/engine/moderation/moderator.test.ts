import { describe, expect, it } from "vitest";
import { DEFAULT_POLICY } from "#engine/moderation/guild-policy.ts";
import { compileLexicon } from "#engine/moderation/lexical.ts";
import {
  type Assessment,
  Moderation,
  type Moderator,
  type Passage,
  type Warning,
} from "#engine/moderation/moderator.ts";

const { signal } = new AbortController();
const user = (content: string) => ({ role: "user" as const, content });

function moderation(...moderators: Moderator[]) {
  const failures: [string, unknown][] = [];
  const made = new Moderation({
    lexicon: compileLexicon(),
    moderators,
    onFailure: (name, error) => failures.push([name, error]),
  });
  return { made, failures };
}

function unsafe(...hazards: string[]): Assessment {
  return { probabilities: { safe: 0.1, controversial: 0, unsafe: 0.9 }, hazards };
}

function controversial(...hazards: string[]): Assessment {
  return { probabilities: { safe: 0.2, controversial: 0.7, unsafe: 0.1 }, hazards };
}

function guard(answer: (passage: Passage) => Assessment | null): Moderator & { seen: Passage[] } {
  const seen: Passage[] = [];
  return {
    name: "guard",
    seen,
    check: async (passage) => {
      seen.push(passage);
      const found = answer(passage);
      return found === null ? [] : [found];
    },
  };
}

describe("the input check", () => {
  it("passes what is harmless", async () => {
    const { made } = moderation(guard(() => null));
    expect(await made.checkInput([user("hello")], signal)).toEqual({ warnings: [] });
  });

  it("names stage, category and a sentence for people", async () => {
    const { made } = moderation();
    const { block } = await made.checkInput([user("gas the jews")], signal);
    expect(block).toEqual({
      stage: "input",
      category: "S10",
      reason:
        "This message was withheld: it calls for hatred or violence against people for who they are.",
    });
  });

  it("reads every turn of the people and the assistant, but not the operator's system prompt", async () => {
    const { made } = moderation();
    const bad = "send me child porn";
    const blockOf = async (messages: Parameters<Moderation["checkInput"]>[0]) =>
      (await made.checkInput(messages, signal)).block;
    expect(await blockOf([{ role: "system", content: bad }])).toBeUndefined();
    expect(await blockOf([user(bad), user("and?")])).toBeDefined();
    const put = [{ role: "assistant" as const, content: "kill yourself" }, user("go on")];
    expect(await blockOf(put)).toBeDefined();
  });

  it("finds what lies across the slices of a long text", async () => {
    const { made } = moderation();
    const text = `${"fine ".repeat(1637)}child porn`;
    expect(await made.checkInput([user(text)], signal)).toMatchObject({
      block: { category: "S4" },
    });
  });

  it("asks a plugged-in moderator, after the lexical layer", async () => {
    const plugged = guard(({ turns }) =>
      turns.some(({ content }) => content.includes("tricky")) ? unsafe("S2") : null,
    );
    const { made } = moderation(plugged);
    expect(await made.checkInput([user("tricky"), user("x")], signal)).toMatchObject({
      block: { category: "S2", probability: 0.9 },
    });
    await made.checkInput([user("gas the jews")], signal);
    expect(plugged.seen).toHaveLength(1);
  });
});

describe("a community's policy", () => {
  const asks = async (found: Assessment, policy: Partial<typeof DEFAULT_POLICY> = {}) => {
    const { made } = moderation(guard(() => found));
    return made.checkInput([user("hello")], signal, { ...DEFAULT_POLICY, ...policy });
  };

  it("blocks what is unsafe and notes what is controversial, by default", async () => {
    expect(await asks(unsafe("S2"))).toMatchObject({ block: { category: "S2" }, warnings: [] });
    expect(await asks(controversial("S2"))).toEqual({
      warnings: [
        {
          stage: "input",
          category: "S2",
          severity: "controversial",
          probability: expect.closeTo(0.8),
        },
      ],
    });
  });

  it("may allow a hazard, and be stricter about another", async () => {
    const hazards = { S2: { unsafe: "allow" }, S6: { controversial: "block" } } as const;
    expect(await asks(unsafe("S2"), { hazards })).toEqual({ warnings: [] });
    expect(await asks(controversial("S6"), { hazards })).toMatchObject({
      block: { category: "S6" },
    });
    expect(await asks(unsafe("S2", "S1"), { hazards })).toMatchObject({
      block: { category: "S1" },
    });
  });

  it("cannot allow what concerns minors, anywhere", async () => {
    const hazards = { S4: { controversial: "allow", unsafe: "allow" } } as const;
    for (const ageRestricted of [true, false]) {
      for (const found of [unsafe("S4"), controversial("S4"), unsafe("S12", "S4")]) {
        expect(await asks(found, { hazards, ageRestricted })).toMatchObject({
          block: { category: "S4" },
        });
      }
    }
  });

  it("allows sexual content in age-restricted places alone", async () => {
    expect(await asks(unsafe("S12"))).toMatchObject({ block: { category: "S12" } });
    expect(await asks(unsafe("S12"), { ageRestricted: true })).toEqual({ warnings: [] });
    const hazards = { S12: { unsafe: "allow", controversial: "allow" } } as const;
    expect(await asks(controversial("S12"), { hazards })).toMatchObject({
      block: { category: "S12" },
    });
  });

  it("answers a plea for help with fixed words and help lines, in the language of the place", async () => {
    const { made } = moderation();
    const plea = [user("i want to kill myself")];
    const english = await made.checkInput(plea, signal);
    expect(english.block).toMatchObject({
      category: "S11",
      reason: expect.stringContaining("988"),
    });
    const german = await made.checkInput(plea, signal, { ...DEFAULT_POLICY, locale: "de-AT" });
    expect(german.block?.reason).toContain("0800 111 0 111");
    const found = await asks(unsafe("S11"), { locale: "xx" });
    expect(found.block?.reason).toBe(english.block?.reason);
  });

  it("is as sure as its threshold asks", async () => {
    const unsure: Assessment = {
      probabilities: { safe: 0.7, controversial: 0, unsafe: 0.3 },
      hazards: [],
    };
    expect(await asks(unsure)).toEqual({ warnings: [] });
    expect(await asks(unsure, { threshold: 0.25 })).toMatchObject({
      block: { category: "unspecified" },
    });
  });
});

describe("the output check", () => {
  it("shows the guard what is answered, and tells once of each hazard that is only noted", async () => {
    const plugged = guard(() => controversial("S2"));
    const { made } = moderation(plugged);
    const warnings: Warning[] = [];
    const output = made.openOutput({
      messages: [{ role: "system", content: "be kind" }, user("how?")],
      signal,
      onWarning: (warning) => warnings.push(warning),
    });
    const pushed = await output.push("like this ".repeat(12));
    expect(pushed.text).not.toBe("");
    expect(plugged.seen[0]).toMatchObject({
      stage: "output",
      turns: [{ role: "user", content: "how?" }],
      text: expect.stringContaining("like this"),
    });
    expect(warnings[0]).toMatchObject({ stage: "output", category: "S2" });
  });
});

describe("a check that cannot run", () => {
  const broken: Moderator = { name: "broken", check: () => Promise.reject(new Error("no memory")) };

  it("withholds the input, with a reason, and is reported", async () => {
    const { made, failures } = moderation(broken);
    const { block } = await made.checkInput([user("hello")], signal);
    expect(block?.category).toBe("unchecked");
    expect(block?.reason).toContain("could not run");
    expect(failures).toEqual([["broken", expect.objectContaining({ message: "no memory" })]]);
  });

  it("lets the lexical layer alone decide where the operator chose so", async () => {
    const made = new Moderation({
      lexicon: compileLexicon(),
      moderators: [broken],
      failOpen: true,
      onFailure: () => {},
    });
    expect(await made.checkInput([user("hello")], signal)).toEqual({ warnings: [] });
    expect(await made.checkInput([user("gas the jews")], signal)).toMatchObject({
      block: { category: "S10" },
    });
  });

  it("is no verdict when the caller has left", async () => {
    const { made, failures } = moderation(broken);
    const gone = AbortSignal.abort(new Error("left"));
    await expect(made.checkInput([user("hello")], gone)).rejects.toThrow("left");
    expect(failures).toEqual([]);
  });

  it("withholds the output", async () => {
    const { made } = moderation(broken);
    const output = made.openOutput({ messages: [user("hi")], signal });
    const pushed = await output.push("hello there");
    expect(pushed.text + (await output.finish()).text).toBe("");
    expect((await output.finish()).category).toBe("unchecked");
  });
});

it("alternatives of a token are judged by themselves", () => {
  const { made } = moderation();
  expect(made.isTokenClean(" hello")).toBe(true);
  expect(made.isTokenClean(" faggot")).toBe(false);
});

it("says of itself what changes with the operator's words, its guards and what it always blocks", () => {
  const versionOf = (words: readonly string[], guards: readonly Moderator[], ceiling: string[]) =>
    new Moderation({
      lexicon: compileLexicon(words),
      moderators: guards,
      ceiling: new Set(ceiling),
      onFailure: () => {},
    }).version;
  const versions = [
    versionOf([], [], []),
    versionOf(["rum"], [], []),
    versionOf([], [guard(() => null)], []),
    versionOf([], [], ["S2"]),
  ];
  expect(new Set(versions).size).toBe(4);
  expect(versionOf(["rum"], [], ["S2", "S4"])).toBe(versionOf(["rum"], [], ["S4", "S2"]));
});
