/** `/adapter` and `/learning`: seen by a server's managers, changed by the bot's operators alone. */
import type { ChatInputCommandInteraction } from "discord.js";
import { isCoded } from "#engine/base/errors.ts";
import { learningStatus } from "../../commands/learning-status.ts";
import { adapterList, swapReply } from "../../commands/replies.ts";
import type { Language } from "../../language/language.ts";
import { EPHEMERAL } from "../private-reply.ts";
import type { Room } from "../room.ts";

const DEFAULT_PERCENT = 10;

/** Lists, tries, promotes or takes back an adapter. */
export async function adapter(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  await interaction.deferReply(EPHEMERAL);
  const content = await answer(room, interaction, () => adapterReply(room, interaction));
  await interaction.editReply({ content });
}

/** Says what is learnt from, starts a training, pauses the nightly one. */
export async function learning(
  room: Room,
  interaction: ChatInputCommandInteraction,
): Promise<void> {
  await interaction.deferReply(EPHEMERAL);
  const content = await answer(room, interaction, () => learningReply(room, interaction));
  await interaction.editReply({ content });
}

/** Anybody who may use the command sees; operators change. */
async function answer(
  room: Room,
  interaction: ChatInputCommandInteraction,
  work: () => Promise<string>,
): Promise<string> {
  const isLook = ["list", "status"].includes(interaction.options.getSubcommand());
  const language = room.languages.of(interaction.locale);
  try {
    const may = isLook || (await room.isOperator(interaction.user.id));
    return may ? await work() : language.say("operators_only");
  } catch (error) {
    if (!isCoded(error)) throw error;
    // What went wrong is the engine's to say, and for operators.
    return language.say("operators_failed", { reason: error.message });
  }
}

async function adapterReply(
  { adapters, languages }: Room,
  { options, locale }: ChatInputCommandInteraction,
): Promise<string> {
  const language = languages.of(locale);
  switch (options.getSubcommand()) {
    case "canary": {
      const share = (options.getInteger("percent") ?? DEFAULT_PERCENT) / 100;
      return swapReply(language, await adapters.activate(options.getString("name", true), share));
    }
    case "promote":
      return swapReply(language, await adapters.activate(options.getString("name", true)));
    case "rollback":
      return rollback(language, adapters);
    default:
      return adapterList(language, await adapters.adapters());
  }
}

/** A trial ends first; else the adapter's parent answers again, or the base weights. */
async function rollback(language: Language, adapters: Room["adapters"]): Promise<string> {
  const { active, canary, adapters: known } = await adapters.adapters();
  if (canary !== null) return swapReply(language, await adapters.deactivate(canary.name));
  if (active === null) return language.say("adapter.base_already");
  const before = known
    .filter(({ name, gate_passed }) => name !== active && gate_passed !== false)
    .filter(({ created_at }) => (created_at ?? "") < createdAt(known, active))
    .sort((a, b) => ((a.created_at ?? "") < (b.created_at ?? "") ? 1 : -1))
    .at(0);
  return swapReply(language, await adapters.activate(before?.name ?? "base"));
}

function createdAt(
  known: readonly { readonly name: string; readonly created_at?: string | undefined }[],
  name: string,
): string {
  return known.find((each) => each.name === name)?.created_at ?? "";
}

async function learningReply(
  room: Room,
  { options, guildId, locale }: ChatInputCommandInteraction,
): Promise<string> {
  const language = room.languages.of(locale);
  switch (options.getSubcommand()) {
    case "run":
      room.wishes.want();
      return language.say("learning.run");
    case "pause": {
      const isPaused = !room.wishes.isPaused;
      room.wishes.pause(isPaused);
      return language.say(isPaused ? "learning.paused" : "learning.resumed");
    }
    default: {
      const isAllowedHere = guildId !== null && room.consent.guild(guildId)?.allows === true;
      const { isPaused } = room.wishes;
      const unread = room.unread();
      return learningStatus(language, room.learning, { isPaused, isAllowedHere, unread });
    }
  }
}
