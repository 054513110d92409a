/** `/thread`: a thread with the first question in it. */
import {
  ChannelType,
  type ChatInputCommandInteraction,
  DiscordAPIError,
  ThreadAutoArchiveDuration,
} from "discord.js";
import type { Language } from "../../language/language.ts";
import { EPHEMERAL, replyPrivately } from "../private-reply.ts";
import { channelOf, placeOf, type Room } from "../room.ts";
import { channelSurface } from "../surfaces.ts";
import { termsFor } from "../terms.ts";
import { headed, headingFor, screenedWords } from "./heading.ts";

const TITLE_CHARACTERS = 80;

/** Opens the thread, and answers in it. */
export async function thread(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  const own = room.languages.of(interaction.locale);
  const parent = await channelOf(room, interaction);
  if (parent?.type !== ChannelType.GuildText) {
    return replyPrivately(interaction, own.say("thread.elsewhere"));
  }
  const language = await room.languageOf(interaction.guildId);
  const text = interaction.options.getString("text", true);
  const needsMention = interaction.options.getBoolean("mention") ?? false;
  const personKey = room.pseudonymise(interaction.user.id);
  const { member } = interaction;
  const here = { place: placeOf(interaction, parent), channel: parent, member, personKey };
  const offer = await termsFor(room, here);
  if (offer.kind === "refused") return replyPrivately(interaction, own.say(offer.notice));
  await interaction.deferReply(EPHEMERAL);
  const wanted = interaction.options.getString("title") ?? text;
  const title = titleOf(language, (await screenedWords(room.screens, here.place, wanted)) ?? "");
  const opened = await parent.threads
    .create({ name: title, autoArchiveDuration: ThreadAutoArchiveDuration.OneDay })
    .catch((error: unknown) => {
      if (error instanceof DiscordAPIError) return undefined;
      throw error;
    });
  if (opened === undefined) {
    await interaction.editReply({ content: own.say("thread.forbidden") });
    return;
  }
  await room.memory.joinThread(opened.id, needsMention ? "mention" : "all");
  await interaction.editReply({ content: own.say("thread.opened", { thread: `<#${opened.id}>` }) });
  const place = placeOf({ guildId: interaction.guildId, channelId: opened.id }, opened);
  const there = await termsFor(room, { place, channel: opened, member, personKey });
  if (there.kind === "refused") return;
  const question = {
    text,
    ...place,
    personKey,
    personName: interaction.user.displayName,
    ...there.terms,
    language,
    locale: interaction.locale,
    ...headed(await headingFor(room.screens, place, text)),
  };
  await room.desk.answer(question, channelSurface(opened), opened.id);
}

function titleOf(language: Language, text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return [...line].slice(0, TITLE_CHARACTERS).join("") || language.say("thread.untitled");
}
