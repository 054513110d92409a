/** `/chat`: a question in its conversation. */
import type { AutocompleteInteraction, ChatInputCommandInteraction } from "discord.js";
import { readAttachments } from "../attachments.ts";
import { EPHEMERAL, replyPrivately } from "../private-reply.ts";
import { channelOf, placeOf, privatePlace, type Room } from "../room.ts";
import { interactionSurface, tidyWithdrawn } from "../surfaces.ts";
import { termsFor } from "../terms.ts";
import { suggestAdapters } from "./compare.ts";
import { headed, headingFor } from "./heading.ts";

/** Answers below the question, or to the person alone. */
export async function chat(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  const isEphemeral = interaction.options.getBoolean("ephemeral") ?? false;
  const channel = await channelOf(room, interaction);
  const personKey = room.pseudonymise(interaction.user.id);
  const open = placeOf(interaction, channel);
  const place = isEphemeral ? privatePlace(open, personKey) : open;
  const persona = interaction.options.getString("persona") ?? undefined;
  const adapter = interaction.options.getString("adapter") ?? undefined;
  const { member } = interaction;
  const own = room.languages.of(interaction.locale);
  const offer = await termsFor(room, { place, channel, member, personKey }, { persona, adapter });
  if (offer.kind === "refused") return replyPrivately(interaction, own.say(offer.notice));
  const language = isEphemeral
    ? own
    : await room.languageOf(interaction.guildId, interaction.locale);
  await interaction.deferReply(isEphemeral ? EPHEMERAL : {});
  if (place.threadId !== null) await room.memory.joinThread(place.threadId);
  const text = interaction.options.getString("text", true);
  const file = interaction.options.getAttachment("attachment");
  const files = await readAttachments(room, language, file === null ? [] : [file]);
  if (typeof files === "string") {
    const content = language.say("chat.unread", { reason: files });
    await interaction.editReply({ content });
    return;
  }
  const question = {
    text,
    ...files,
    ...place,
    personKey,
    personName: interaction.user.displayName,
    ...offer.terms,
    language,
    locale: interaction.locale,
    // Others see who used the command, but not what was asked.
    ...(isEphemeral ? {} : headed(await headingFor(room.screens, place, text))),
  };
  const sendable = channel?.isSendable() === true ? channel : undefined;
  const surface = interactionSurface(interaction, sendable);
  const outcome = await room.desk.answer(question, surface, interaction.channelId);
  await tidyWithdrawn(interaction, outcome);
}

/** The personas and adapters that there are. */
export async function suggestForChat(
  room: Room,
  interaction: AutocompleteInteraction,
): Promise<void> {
  if (interaction.options.getFocused(true).name === "adapter") {
    return suggestAdapters(room, interaction);
  }
  const typed = interaction.options.getFocused().toLowerCase();
  const { personas } = await room.settings.of(interaction.guildId);
  const fitting = personas.filter(({ name }) => name.toLowerCase().includes(typed));
  await interaction.respond(fitting.map(({ name }) => ({ name, value: name })));
}
