import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileRule } from "#bot/moderation/keyword-rules.ts";
import {
  applyLinkPolicy,
  DEFAULT_LINK_POLICY,
  type LinkPolicy,
  normaliseDomain,
} from "#bot/moderation/link-policy.ts";
import { screenBy } from "#bot/moderation/output-screen.ts";
import { english } from "../support/english.ts";

const rule = compileRule({
  id: "1",
  name: "words",
  keywords: ["forbidden fruit", "ban*"],
  patterns: [],
  allowed: [],
  exemptChannelIds: [],
});
const screen = (links: LinkPolicy = DEFAULT_LINK_POLICY) =>
  screenBy({ rules: [rule], links, channelIds: ["c"], language: english });

describe("an answer as it grows", () => {
  test("never shows a letter of what turns out to break a rule, however it is cut", () => {
    const words = fc.constantFrom(
      "good ",
      "apples ",
      "and ",
      "forbidden ",
      "fruit ",
      "bandits ",
      "\n",
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 40 }), fc.array(fc.nat(30)), (parts, cuts) => {
        const whole = parts.join("");
        const firstBad = whole.search(/forbidden\s+fruit|ban/);
        let end = 0;
        for (const cut of [...cuts, whole.length]) {
          end = Math.min(whole.length, end + cut);
          const screened = screen().apply(whole.slice(0, end), false);
          if (screened.kind === "broken") return firstBad !== -1;
          expect(whole.startsWith(screened.text)).toBe(true);
          if (firstBad !== -1) expect(screened.text.length).toBeLessThanOrEqual(firstBad);
        }
        return screen().apply(whole, true).kind === (firstBad === -1 ? "shown" : "broken");
      }),
    );
  });

  test("is shown whole at its end", () => {
    expect(screen().apply("A good answer", true)).toEqual({ kind: "shown", text: "A good answer" });
  });

  test.each([
    "disc|ord.gg/abc",
    "https:|//discord.gg/abc",
    "(dis|cord.com/invite/abc",
    "w|ww.discord.gg/x",
  ])("never shows a part of an invitation that comes in pieces: %s", (pieces) => {
    const free = screenBy({
      rules: [],
      links: DEFAULT_LINK_POLICY,
      channelIds: ["c"],
      language: english,
    });
    const [first = "", rest = ""] = pieces.split("|");
    const [begun, done] = [`Join ${first}`, `Join ${first}${rest}`];
    expect(free.apply(begun, false)).toEqual({ kind: "shown", text: "Join " });
    expect(free.apply(done, false)).toEqual({ kind: "shown", text: "Join " });
    expect(free.apply(`${done} now`, true)).toMatchObject({
      text: expect.stringContaining("[invite removed] now"),
    });
  });

  test("without rules is shown to its last letter, unless that may begin a link", () => {
    const free = screenBy({
      rules: [],
      links: DEFAULT_LINK_POLICY,
      channelIds: ["c"],
      language: english,
    });
    expect(free.apply("Half a word in ha", false)).toEqual({
      kind: "shown",
      text: "Half a word in ha",
    });
  });

  test("in a dry run the rule is told and the answer shown", () => {
    const told: string[] = [];
    const dry = screenBy({
      language: english,
      rules: [rule],
      links: DEFAULT_LINK_POLICY,
      channelIds: ["c"],
      onDryRun: ({ name }) => told.push(name),
    });
    expect(dry.apply("a ban", true)).toEqual({ kind: "shown", text: "a ban" });
    expect(told).toEqual(["words"]);
  });
});

describe("links", () => {
  const policy = (changes: Partial<LinkPolicy>) => ({ ...DEFAULT_LINK_POLICY, ...changes });

  test.each([
    "discord.gg/abc",
    "https://discord.gg/abc-1",
    "https://discord.com/invite/abc",
    "http://www.discordapp.com/invite/x",
  ])("the invitation %s does not stand unless the server allows it", (invite) => {
    expect(applyLinkPolicy(`Join ${invite} now`, policy({}), english)).toBe(
      "Join [invite removed] now",
    );
    expect(applyLinkPolicy(`Join ${invite} now`, policy({ invites: true }), english)).toContain(
      invite,
    );
  });

  test("of the listed domains and theirs alone stand, or all but those, or none", () => {
    const text =
      "See https://example.org/a, https://www.example.org/b and https://evil-example.org.";
    const listed = policy({ links: "listed", domains: ["example.org"] });
    expect(applyLinkPolicy(text, listed, english)).toBe(
      "See https://example.org/a, https://www.example.org/b and [link removed].",
    );
    const unlisted = policy({ links: "unlisted", domains: ["example.org"] });
    expect(applyLinkPolicy(text, unlisted, english)).toContain("https://evil-example.org");
    expect(applyLinkPolicy(text, unlisted, english)).not.toContain("https://example.org");
    expect(applyLinkPolicy(text, policy({ links: "none" }), english)).not.toContain("https://");
  });

  test("a user part cannot pass for a listed domain", () => {
    const listed = policy({ links: "listed", domains: ["example.org"] });
    expect(applyLinkPolicy("https://example.org@evil.net/", listed, english)).toBe(
      "[link removed]",
    );
    expect(applyLinkPolicy("https://example.org.evil.net/", listed, english)).toBe(
      "[link removed]",
    );
  });

  test.each([
    ["Example.ORG", "example.org"],
    ["https://example.org/path", "example.org"],
    ["*.example.org", "example.org"],
    ["not a domain", undefined],
    ["localhost", undefined],
  ])("%j is the domain %s", (written, domain) => {
    expect(normaliseDomain(written)).toBe(domain);
  });
});
