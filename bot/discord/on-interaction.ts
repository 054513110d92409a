/**
 * A command, menu entry, component or form was used. What each does is one file in commands/ and one
 * line in a table here. Each gets its first response within three seconds.
 */
import type {
  AnySelectMenuInteraction,
  AutocompleteInteraction,
  ButtonInteraction,
  ChatInputCommandInteraction,
  Interaction,
  MessageContextMenuCommandInteraction,
  ModalSubmitInteraction,
  RepliableInteraction,
} from "discord.js";
import { isCoded } from "#engine/base/errors.ts";
import { CONTROL } from "../answer/controls.ts";
import { helpCommand, statusCommand } from "../commands/about.ts";
import { chatCommand } from "../commands/chat.ts";
import { compareCommand } from "../commands/compare.ts";
import {
  adapterCommand,
  learningCommand,
  personaCommand,
  settingsCommand,
} from "../commands/managing.ts";
import { appealMessageCommand, moderationCommand } from "../commands/moderation.ts";
import { mydataCommand } from "../commands/mydata.ts";
import { rateCommand, rateMessageCommand } from "../commands/rate.ts";
import { reportMessageCommand } from "../commands/report.ts";
import { threadCommand } from "../commands/thread.ts";
import { COMPARE_BUTTON } from "../compare/comparison.ts";
import { APPEAL } from "../moderation/appeal-button.ts";
import { PANEL } from "../settings/panel.ts";
import { help, status } from "./commands/about.ts";
import { openAppeal, pressAppeal } from "./commands/appeal.ts";
import { chat, suggestForChat } from "./commands/chat.ts";
import { compare, pressCompare, suggestAdapters } from "./commands/compare.ts";
import { moderation, NOTE_FORM, pressCase, submitNote } from "./commands/moderation.ts";
import { MYDATA_BUTTON, mydata, pressMydata } from "./commands/mydata.ts";
import { adapter, learning } from "./commands/operating.ts";
import { PERSONA_FORM, persona, submitPersona, suggestPersonas } from "./commands/persona.ts";
import { openRating, rate, submitRating } from "./commands/rate.ts";
import { openReport, REPORT_FORM, submitReport } from "./commands/report.ts";
import { chooseSetting, pressSetting, settings, submitSetting } from "./commands/settings.ts";
import { thread } from "./commands/thread.ts";
import { again, more, stop, unvote, vote } from "./components/answer-buttons.ts";
import { CASE_BUTTON } from "./moderation/mod-log.ts";
import { EPHEMERAL, replyPrivately } from "./private-reply.ts";
import { RATING_FORM } from "./rating-form.ts";
import type { Room } from "./room.ts";

type Handlers<I> = ReadonlyMap<string, (room: Room, interaction: I) => Promise<void>>;

/** By the command's name. */
const SLASH: Handlers<ChatInputCommandInteraction> = new Map([
  [chatCommand.name, chat],
  [compareCommand.name, compare],
  [rateCommand.name, rate],
  [helpCommand.name, help],
  [statusCommand.name, status],
  [threadCommand.name, thread],
  [settingsCommand.name, settings],
  [personaCommand.name, persona],
  [adapterCommand.name, adapter],
  [learningCommand.name, learning],
  [mydataCommand.name, mydata],
  [moderationCommand.name, moderation],
]);

/** By the menu entry's name. */
const MESSAGE_MENU: Handlers<MessageContextMenuCommandInteraction> = new Map([
  [rateMessageCommand.name, openRating],
  [reportMessageCommand.name, openReport],
  [appealMessageCommand.name, openAppeal],
]);

/** By what stands before the first colon of their custom id. */
const BUTTONS: Handlers<ButtonInteraction> = new Map([
  [CONTROL.stop, stop],
  [CONTROL.again, again],
  [CONTROL.more, more],
  [CONTROL.vote, vote],
  [CONTROL.unvote, unvote],
  [MYDATA_BUTTON, pressMydata],
  [COMPARE_BUTTON, pressCompare],
  [PANEL.button, pressSetting],
  [APPEAL, pressAppeal],
  [CASE_BUTTON, pressCase],
]);

/** Likewise. */
const SELECTS: Handlers<AnySelectMenuInteraction> = new Map([[PANEL.select, chooseSetting]]);

/** Likewise. */
const FORMS: Handlers<ModalSubmitInteraction> = new Map([
  [RATING_FORM, submitRating],
  [REPORT_FORM, submitReport],
  [PANEL.form, submitSetting],
  [PERSONA_FORM, submitPersona],
  [NOTE_FORM, submitNote],
]);

/** Choices while an option is typed, by the command's name. */
const CHOICES: Handlers<AutocompleteInteraction> = new Map([
  [chatCommand.name, suggestForChat],
  [personaCommand.name, suggestPersonas],
  [adapterCommand.name, suggestAdapters],
  [compareCommand.name, suggestAdapters],
]);

/** Whatever is handled here, so that a check can tell what nobody has tried: `button vote`, `form rate`. */
export const HANDLED: readonly string[] = [
  ...[...BUTTONS.keys()].map((kind) => `button ${kind}`),
  ...[...SELECTS.keys()].map((kind) => `select ${kind}`),
  ...[...FORMS.keys()].map((kind) => `form ${kind}`),
];

/** Does what was asked for. */
export async function onInteraction(room: Room, interaction: Interaction): Promise<void> {
  if (!room.seen.isNew(interaction.id)) return;
  room.heardLocales.note(room.pseudonymise(interaction.user.id), interaction.locale);
  if (interaction.isAutocomplete()) {
    await CHOICES.get(interaction.commandName)?.(room, interaction);
    return;
  }
  const handled = find(room, interaction);
  if (handled !== undefined) await handled.catch((error) => tellFailure(room, interaction, error));
  // From before an update of the bot: nobody is left without a response.
  else if (interaction.isRepliable()) {
    const language = room.languages.of(interaction.locale);
    await replyPrivately(interaction, language.say("unknown_command"));
  }
}

/** Nobody is left without a word. A store that is away is an expected refusal, all else is for the log, too. */
async function tellFailure(room: Room, interaction: Interaction, error: unknown): Promise<void> {
  const isAway = isCoded(error, "store_unreachable");
  if (interaction.isRepliable()) {
    const content = room.languages
      .of(interaction.locale)
      .say(isAway ? "store_away" : "failed.general");
    await say(interaction, content).catch((second: unknown) => {
      room.log.warn({ err: second }, "a failure could not be told");
    });
  }
  if (!isAway) throw error;
}

async function say(interaction: RepliableInteraction, content: string): Promise<void> {
  if (interaction.replied) await interaction.followUp({ content, ...EPHEMERAL });
  else if (interaction.deferred) await interaction.editReply({ content });
  else await replyPrivately(interaction, content);
}

function find(room: Room, interaction: Interaction): Promise<void> | undefined {
  if (interaction.isChatInputCommand()) {
    return SLASH.get(interaction.commandName)?.(room, interaction);
  }
  if (interaction.isMessageContextMenuCommand()) {
    return MESSAGE_MENU.get(interaction.commandName)?.(room, interaction);
  }
  if (interaction.isAnySelectMenu()) {
    return SELECTS.get(kindOf(interaction.customId))?.(room, interaction);
  }
  if (interaction.isButton()) {
    return BUTTONS.get(kindOf(interaction.customId))?.(room, interaction);
  }
  if (interaction.isModalSubmit()) {
    return FORMS.get(kindOf(interaction.customId))?.(room, interaction);
  }
  return undefined;
}

function kindOf(customId: string): string {
  return customId.split(":", 1)[0] ?? "";
}
