import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { COMMANDS, commandsHash } from "#bot/commands/definitions.ts";
import { messageIdOfLink } from "#bot/commands/message-link.ts";
import {
  helpReply,
  type Learning,
  notSavedReply,
  ratingReply,
  type StatusFigures,
  statusReply,
} from "#bot/commands/replies.ts";
import { ENGLISH } from "#bot/language/english.ts";
import { english } from "../support/english.ts";

const learning: Learning = {
  source: "playground",
  trainAt: "03:00",
  isLearningFromDiscord: false,
  isConsentAssumed: true,
};

function optionsOf(command: (typeof COMMANDS)[number]): readonly object[] {
  return "options" in command ? (command.options ?? []) : [];
}

describe("the commands", () => {
  test.each(COMMANDS.map((command) => [command.name, command] as const))(
    "%s keeps to Discord's rules: name, lengths, contexts, permissions",
    (name, command) => {
      const isMenu = command.type === 3;
      const described = isMenu ? [] : [command, ...optionsOf(command)];
      for (const part of described) {
        expect(part).toMatchObject({
          name: expect.stringMatching(/^[a-z0-9_-]{1,32}$/),
          description: expect.stringMatching(/^.{1,100}$/),
        });
      }
      expect(name).toMatch(/^.{1,32}$/);
      // Whoever may write, anywhere; or in servers only, with a permission that tells members apart.
      const isForAll = command.default_member_permissions === "2048";
      expect(command.contexts).toEqual(isForAll ? [0, 1] : [0]);
      expect(Number(command.default_member_permissions)).toBeGreaterThan(0);
    },
  );

  test("have a hash that changes with any of them", () => {
    const [first, ...rest] = COMMANDS;
    expect(commandsHash(COMMANDS)).toBe(commandsHash([...COMMANDS]));
    expect(commandsHash(rest)).not.toBe(commandsHash(COMMANDS));
    expect(first).toBeDefined();
  });

  test("are all explained by /help but itself", () => {
    const help = helpReply(english, "Zephyr", learning);
    for (const { name } of COMMANDS) if (name !== "help") expect(help).toContain(name);
    expect(help.length).toBeLessThanOrEqual(2_000);
  });
});

describe("a message's link", () => {
  test.each([
    ["https://discord.com/channels/1200000000000000001/1200000000000000101/1574306396009136128"],
    ["https://discord.com/channels/@me/1200000000000000101/1574306396009136128"],
    ["http://127.0.0.1:3000/channels/1200000000000000001/1200000000000000101/1574306396009136128/"],
    [" 1574306396009136128 "],
  ])("%s names its message", (link) => expect(messageIdOfLink(link)).toBe("1574306396009136128"));

  test.each([["nonsense"], [""], ["https://discord.com/channels/1/2"], ["12"], ["1".repeat(30)]])(
    "%j names none",
    (link) => expect(messageIdOfLink(link)).toBeUndefined(),
  );
});

describe("what commands reply", () => {
  const figures: StatusFigures = {
    health: {
      status: "degraded",
      problems: ["adapter night-2 is corrupt"],
      model: {
        id: "nano",
        sha256: "0",
        parameters: 5_300_000,
        context_tokens: 2_048,
        streams: 32,
        input_modalities: ["text"],
        device: "CPU: no GPU was found",
      },
      adapter: "night-1",
      canary: { name: "night-2", share: 0.25 },
      policy: "",
      queue: { waiting: 2, running: 4, limit: 256 },
    },
    counts: { exchanges: 9, candidates: 9, events: 5, standingRatings: 4 },
    waiting: 1,
    inFlight: 3,
    learning,
  };

  test("/status tells model, adapter, device, queue, feedback and learning", () => {
    const status = statusReply(english, figures);
    for (const part of [
      "nano, 5.3 million",
      "night-1",
      "On trial with 25% of the servers: night-2",
      "no GPU",
      "4 running, 2 waiting",
      "corrupt",
    ]) {
      expect(status).toContain(part);
    }
    expect(status).toContain("answers in the making: 2, waiting: 1");
    expect(status).toContain("9 answers, 4 votes");
    expect(status).toContain("on, every night at 03:00");
  });

  test("/status is honest about what is away, and about learning on real Discord", () => {
    const status = statusReply(english, {
      ...figures,
      health: undefined,
      counts: undefined,
      learning: {
        source: "discord",
        trainAt: "03:00",
        isLearningFromDiscord: false,
        isConsentAssumed: true,
      },
    });
    expect(status).toContain("not running");
    expect(status).toContain("can't be read");
    expect(status).toContain("off (votes are kept, but not trained on");
  });

  test("a rating is confirmed with its stars only when it is saved", () => {
    expect(ratingReply(english, { kind: "recorded" }, 2, "a\n`b`")).toContain("★★☆☆☆ for “a b”");
    const full = ratingReply(english, { kind: "not_saved", isDiskFull: true }, 2, "text");
    expect(full).toBe(notSavedReply(english, true));
    expect(full).not.toContain("★");
    expect(ratingReply(english, { kind: "ignored" }, 2, "text")).toContain("no answer of mine");
  });

  test("the texts mention no setting that does not exist", () => {
    const env = readFileSync(".env.example", "utf8");
    const source = JSON.stringify(ENGLISH);
    for (const [name] of source.matchAll(/\b[A-Z]+_[A-Z_]+\b(?= is not set)/g)) {
      expect(env).toContain(`${name}=`);
    }
  });
});
