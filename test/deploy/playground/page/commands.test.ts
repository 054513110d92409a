import { PermissionFlagsBits as Bits } from "discord-api-types/v10";
import { describe, expect, test } from "vitest";
import { slashEntries } from "#deploy/playground/page/commands.ts";
import type { Command } from "#deploy/playground/page/types.ts";

const command = (name: string, needed?: bigint): Command => ({
  ...{ id: name, type: 1, name, description: name },
  default_member_permissions: needed === undefined ? null : String(needed),
});
const labels = (...commands: Command[]) => slashEntries(commands).map(({ label }) => label);

describe("the commands of the picker", () => {
  test("stand by their names, those first that anybody who writes there may use", () => {
    const all = labels(
      command("adapter", Bits.ManageGuild),
      command("thread", Bits.CreatePublicThreads),
      command("moderation", Bits.ManageMessages),
      command("chat", Bits.SendMessages),
      command("banish", Bits.Administrator | Bits.SendMessages),
      command("help"),
    );
    expect(all).toEqual(["chat", "help", "thread", "adapter", "banish", "moderation"]);
  });

  test("leave out the menus' entries, and hold each subcommand by its whole name", () => {
    const option = (name: string) => ({ name, description: name, type: 1 });
    const nested = { ...command("mydata"), options: [option("show"), option("forget")] };
    const menu = { ...command("Rate this answer"), type: 3 };
    expect(labels(nested, menu)).toEqual(["mydata forget", "mydata show"]);
  });
});
