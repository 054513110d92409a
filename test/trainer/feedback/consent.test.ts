import { beforeEach, describe, expect, test } from "vitest";
import { ConsentBook, learningRefusal } from "#trainer/feedback/consent.ts";
import type { Source } from "#trainer/feedback/records.ts";
import { freshFolder, HandClock } from "../../deploy/playground/arena.ts";

let book: ConsentBook;
beforeEach(() => {
  book = ConsentBook.open(freshFolder(), new HandClock());
});

const refusal = (
  source: Source,
  settings: { LEARN_FROM_DISCORD?: boolean; PLAYGROUND_CONSENT?: "given" | "ask" } = {},
  personKeys: readonly string[] = ["ann", "bob"],
  guildId: string | null = "g",
) =>
  learningRefusal(
    book,
    { LEARN_FROM_DISCORD: false, PLAYGROUND_CONSENT: "given", ...settings },
    { source, guildId, personKeys },
  );

describe("learning from Discord needs all three, each revocable", () => {
  test("attestation, server and person, in this order", () => {
    const attested = { LEARN_FROM_DISCORD: true };
    for (const person of ["ann", "bob"]) book.setPerson(person, true);
    book.setGuild("g", true, "manager");
    expect(refusal("discord")).toBe("from_discord");
    expect(refusal("discord", attested)).toBeUndefined();
    book.setGuild("g", false, "manager");
    expect(refusal("discord", attested)).toBe("guild_off");
    book.setGuild("g", true, "manager");
    book.setPerson("bob", false);
    expect(refusal("discord", attested)).toBe("no_consent");
    expect(refusal("discord", attested, ["ann"])).toBeUndefined();
  });

  test("whoever has said nothing has not agreed, and a server that nobody switched on is off", () => {
    const attested = { LEARN_FROM_DISCORD: true };
    expect(refusal("discord", attested)).toBe("guild_off");
    expect(refusal("discord", attested, ["ann"], null)).toBe("no_consent");
  });

  test("one person's refusal among several is enough", () => {
    book.setPerson("ann", true);
    expect(refusal("http")).toBe("no_consent");
    book.setPerson("bob", true);
    expect(refusal("http")).toBeUndefined();
  });
});

describe("people of the playground", () => {
  test("agree unless they say otherwise", () => {
    expect(refusal("playground")).toBeUndefined();
    book.setPerson("bob", false);
    expect(refusal("playground")).toBe("no_consent");
  });

  test("are asked like anybody else with PLAYGROUND_CONSENT=ask", () => {
    expect(refusal("playground", { PLAYGROUND_CONSENT: "ask" })).toBe("no_consent");
  });
});

test("every change is kept with its time and who made it", () => {
  book.setPerson("ann", true);
  book.setPerson("ann", false);
  expect(book.historyOf("ann").map(({ allows, actorKey }) => [allows, actorKey])).toEqual([
    [true, "ann"],
    [false, "ann"],
  ]);
});

test("adapters to be retrained are listed until they are done", () => {
  book.requestRetraining(["b", "a"]);
  book.requestRetraining(["a"]);
  expect(book.retraining()).toEqual(["a", "b"]);
  book.retrainingDone("a");
  expect(book.retraining()).toEqual(["b"]);
});
