/** `/moderation`, and the buttons and form of a case in the mod-log. */
import {
  type ButtonInteraction,
  type ChatInputCommandInteraction,
  LabelBuilder,
  ModalBuilder,
  type ModalSubmitInteraction,
  PermissionFlagsBits,
  TextInputBuilder,
  TextInputStyle,
} from "discord.js";
import { MODERATION, NOTE_CHARACTERS } from "../../commands/moderation.ts";
import type { Language } from "../../language/language.ts";
import type { Case } from "../../moderation/case-book.ts";
import { caseList, caseText } from "../../moderation/case-text.ts";
import type { ModerationChoices } from "../../moderation/choices.ts";
import { decisionOf, withDecision } from "../../moderation/decided-questions.ts";
import { linkPolicySchema, normaliseDomain } from "../../moderation/link-policy.ts";
import { EPHEMERAL, replyPrivately } from "../private-reply.ts";
import type { Room } from "../room.ts";

/** The kind of form, before the colon of its custom id. */
export const NOTE_FORM = "casenote";
const NOTE_FIELD = "note";
const LISTED_CASES = 15;
const MOST_DOMAINS = 200;
const LISTED_CHARACTERS = 800;

/** Does what the subcommand says. */
export async function moderation(
  room: Room,
  interaction: ChatInputCommandInteraction,
): Promise<void> {
  const { guildId, options } = interaction;
  const language = room.languages.of(interaction.locale);
  if (guildId === null) {
    return replyPrivately(interaction, language.say("moderation.servers_only"));
  }
  switch (options.getSubcommand()) {
    case MODERATION.setup:
      return setup(room, interaction, guildId);
    case MODERATION.links:
      return setLinks(room, interaction, guildId);
    case MODERATION.cases:
      return replyPrivately(
        interaction,
        caseList(language, room.cases.newest(guildId, LISTED_CASES)),
      );
    case MODERATION.case:
      return show(room, interaction, room.cases.find(guildId, options.getInteger("number", true)));
    default:
      return writeNote(room, interaction, guildId);
  }
}

/** A moderator decides a case, or wants to write its note. */
export async function pressCase(room: Room, interaction: ButtonInteraction): Promise<void> {
  const [, action, number] = interaction.customId.split(":");
  const { guildId } = interaction;
  const language = room.languages.of(interaction.locale);
  if (guildId === null || !mayModerate(interaction)) {
    return replyPrivately(interaction, language.say("moderation.may_not_decide"));
  }
  const found = room.cases.find(guildId, Number(number));
  if (found === undefined) {
    return replyPrivately(interaction, language.say("moderation.no_such_case"));
  }
  if (action === "note") {
    await interaction.showModal(noteForm(language, found));
    return;
  }
  await interaction.deferReply(EPHEMERAL);
  const state = action === "overturn" ? "overturned" : "upheld";
  const decided = room.cases.decide(guildId, found.number, state);
  if (decided !== undefined) {
    await applyDecision(room, decided);
    await room.modLog.update(decided);
  }
  const content = language.say(`moderation.${state}`, { number: String(found.number) });
  await interaction.editReply({ content });
}

/** The note that a moderator wrote. */
export async function submitNote(room: Room, interaction: ModalSubmitInteraction): Promise<void> {
  const number = Number(interaction.customId.split(":")[1]);
  const { guildId } = interaction;
  if (guildId === null || !mayModerate(interaction)) {
    const language = room.languages.of(interaction.locale);
    return replyPrivately(interaction, language.say("moderation.may_not_note"));
  }
  await keepNote(
    room,
    interaction,
    { guildId, number },
    interaction.fields.getTextInputValue(NOTE_FIELD),
  );
}

/**
 * An answer that should have been refused is no longer learnt from; and what was decided holds when the same
 * question is asked again, below the operator's ceiling, which is the engine's to keep.
 */
async function applyDecision(room: Room, decided: Case): Promise<void> {
  const { kind, state, sourceId, guildId } = decided;
  if (kind === "should_have_refused" && state === "upheld") room.capture.deleted(sourceId);
  const decision = decisionOf(decided);
  const hash = questionOf(room, decided)?.evidenceSha256;
  if (decision === undefined || hash === undefined) return;
  const choices = await room.moderation.of(guildId);
  await room.moderation.change(guildId, {
    decided: withDecision(choices.decided, hash, decision),
  });
}

/** The case that holds the question's hash: an appeal against a refusal has that of the refusal. */
function questionOf(room: Room, decided: Case): Case | undefined {
  if (decided.kind !== "wrongly_refused") return decided;
  return room.cases.at(decided.guildId, "refused", decided.place);
}

function mayModerate(interaction: ButtonInteraction | ModalSubmitInteraction): boolean {
  return interaction.memberPermissions?.has(PermissionFlagsBits.ManageMessages) === true;
}

async function setup(
  room: Room,
  interaction: ChatInputCommandInteraction,
  guildId: string,
): Promise<void> {
  const { options } = interaction;
  const log = options.getChannel("log");
  const alerts = options.getChannel("alerts");
  const isDryRun = options.getBoolean("dry-run");
  if (log !== null) await room.settings.change(guildId, () => ({ modLogChannelId: log.id }));
  const choices = await room.moderation.change(guildId, {
    ...(alerts === null ? {} : { alertChannelId: alerts.id }),
    ...(isDryRun === null ? {} : { isDryRun }),
  });
  await replyPrivately(interaction, await describe(room, interaction, guildId, choices));
}

async function setLinks(
  room: Room,
  interaction: ChatInputCommandInteraction,
  guildId: string,
): Promise<void> {
  const { options } = interaction;
  const language = room.languages.of(interaction.locale);
  const before = (await room.moderation.of(guildId)).links;
  const written = options
    .getString("domains")
    ?.split(/[\s,]+/)
    .filter((word) => word !== "");
  const domains = written?.map(normaliseDomain);
  const wrong = written?.filter((_, index) => domains?.[index] === undefined) ?? [];
  if (wrong.length > 0) {
    const listed = wrong.join(", ").slice(0, LISTED_CHARACTERS);
    return replyPrivately(interaction, language.say("moderation.no_domains", { domains: listed }));
  }
  const links = linkPolicySchema.safeParse({
    links: options.getString("policy", true),
    domains: domains ?? before.domains,
    invites: options.getBoolean("invites") ?? before.invites,
  });
  if (!links.success) {
    const most = MOST_DOMAINS;
    return replyPrivately(interaction, language.say("moderation.too_many_domains", { most }));
  }
  const choices = await room.moderation.change(guildId, { links: links.data });
  return replyPrivately(interaction, await describe(room, interaction, guildId, choices));
}

async function writeNote(
  room: Room,
  interaction: ChatInputCommandInteraction,
  guildId: string,
): Promise<void> {
  const number = interaction.options.getInteger("number", true);
  await keepNote(
    room,
    interaction,
    { guildId, number },
    interaction.options.getString("text", true),
  );
}

async function keepNote(
  room: Room,
  interaction: ChatInputCommandInteraction | ModalSubmitInteraction,
  { guildId, number }: Pick<Case, "guildId" | "number">,
  text: string,
): Promise<void> {
  await interaction.deferReply(EPHEMERAL);
  const noted = room.cases.setNote(guildId, number, text.trim());
  if (noted !== undefined) await room.modLog.update(noted);
  const language = room.languages.of(interaction.locale);
  const content =
    noted === undefined
      ? language.say("moderation.no_such_case")
      : language.say("moderation.noted", { number: String(number) });
  await interaction.editReply({ content });
}

async function show(
  room: Room,
  interaction: ChatInputCommandInteraction,
  found: Case | undefined,
): Promise<void> {
  const language = room.languages.of(interaction.locale);
  await replyPrivately(
    interaction,
    found === undefined
      ? language.say("moderation.no_such_case")
      : caseText(language, found, undefined),
  );
}

function noteForm(language: Language, { number, note }: Case): ModalBuilder {
  const text = new TextInputBuilder()
    .setCustomId(NOTE_FIELD)
    .setStyle(TextInputStyle.Paragraph)
    .setMaxLength(NOTE_CHARACTERS)
    .setRequired(false);
  if (note !== "") text.setValue(note.slice(0, NOTE_CHARACTERS));
  return new ModalBuilder()
    .setCustomId(`${NOTE_FORM}:${number}`)
    .setTitle(language.say("case.title", { number: String(number) }))
    .addLabelComponents(
      new LabelBuilder().setLabel(language.say("label.case.note")).setTextInputComponent(text),
    );
}

async function describe(
  room: Room,
  { locale }: ChatInputCommandInteraction,
  guildId: string,
  { alertChannelId, isDryRun, links }: ModerationChoices,
): Promise<string> {
  const language = room.languages.of(locale);
  const { modLogChannelId } = await room.settings.of(guildId);
  const listed = links.domains.join(", ").slice(0, LISTED_CHARACTERS);
  const domains = listed === "" ? language.say("moderation.no_domain") : listed;
  return [
    language.say("moderation.title"),
    modLogChannelId === null
      ? language.say("moderation.cases_nowhere")
      : language.say("moderation.cases_in", { channel: `<#${modLogChannelId}>` }),
    alertChannelId === null
      ? language.say("moderation.alerts_with_cases")
      : language.say("moderation.alerts_in", { channel: `<#${alertChannelId}>` }),
    language.say(isDryRun ? "moderation.dry_run" : "moderation.enforced"),
    links.links === "listed" || links.links === "unlisted"
      ? language.say(`moderation.links.${links.links}`, { domains })
      : language.say(`moderation.links.${links.links}`),
    language.say(links.invites ? "moderation.invites_allowed" : "moderation.invites_removed"),
  ].join("\n");
}
