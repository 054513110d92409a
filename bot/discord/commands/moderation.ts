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
import type { Case } from "../../moderation/case-book.ts";
import { caseList, caseText } from "../../moderation/case-text.ts";
import type { ModerationChoices } from "../../moderation/choices.ts";
import { linkPolicySchema, normaliseDomain } from "../../moderation/link-policy.ts";
import { EPHEMERAL, replyPrivately } from "../private-reply.ts";
import type { Room } from "../room.ts";

/** The kind of form, before the colon of its custom id. */
export const NOTE_FORM = "casenote";
const NOTE_FIELD = "note";
const LISTED_CASES = 15;
const NO_SUCH_CASE = "There is no case with that number in this server.";

/** Does what the subcommand says. */
export async function moderation(
  room: Room,
  interaction: ChatInputCommandInteraction,
): Promise<void> {
  const { guildId, options } = interaction;
  if (guildId === null) return replyPrivately(interaction, "This works in servers only.");
  switch (options.getSubcommand()) {
    case MODERATION.setup:
      return setup(room, interaction, guildId);
    case MODERATION.links:
      return setLinks(room, interaction, guildId);
    case MODERATION.cases:
      return replyPrivately(interaction, caseList(room.cases.newest(guildId, LISTED_CASES)));
    case MODERATION.case:
      return show(interaction, room.cases.find(guildId, options.getInteger("number", true)));
    default:
      return writeNote(room, interaction, guildId);
  }
}

/** A moderator decides a case, or wants to write its note. */
export async function pressCase(room: Room, interaction: ButtonInteraction): Promise<void> {
  const [, action, number] = interaction.customId.split(":");
  const { guildId } = interaction;
  if (guildId === null || !mayModerate(interaction)) {
    return replyPrivately(interaction, "Deciding cases needs the permission Manage Messages.");
  }
  const found = room.cases.find(guildId, Number(number));
  if (found === undefined) return replyPrivately(interaction, NO_SUCH_CASE);
  if (action === "note") {
    await interaction.showModal(noteForm(found));
    return;
  }
  await interaction.deferReply(EPHEMERAL);
  const state = action === "overturn" ? "overturned" : "upheld";
  const decided = room.cases.decide(guildId, found.number, state);
  if (decided !== undefined) {
    applyDecision(room, decided);
    await room.modLog.update(decided);
  }
  await interaction.editReply({ content: `Case ${found.number} is ${state}.` });
}

/** The note that a moderator wrote. */
export async function submitNote(room: Room, interaction: ModalSubmitInteraction): Promise<void> {
  const number = Number(interaction.customId.split(":")[1]);
  const { guildId } = interaction;
  if (guildId === null || !mayModerate(interaction)) {
    return replyPrivately(interaction, "Writing notes needs the permission Manage Messages.");
  }
  await keepNote(
    room,
    interaction,
    { guildId, number },
    interaction.fields.getTextInputValue(NOTE_FIELD),
  );
}

/** An answer that should have been refused is no longer learnt from. */
function applyDecision(room: Room, { kind, state, sourceId }: Case): void {
  if (kind === "should_have_refused" && state === "upheld") room.capture.deleted(sourceId);
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
  const choices = await room.moderation.change(guildId, {
    ...(log === null ? {} : { logChannelId: log.id }),
    ...(alerts === null ? {} : { alertChannelId: alerts.id }),
    ...(isDryRun === null ? {} : { isDryRun }),
  });
  await replyPrivately(interaction, describe(choices));
}

async function setLinks(
  room: Room,
  interaction: ChatInputCommandInteraction,
  guildId: string,
): Promise<void> {
  const { options } = interaction;
  const before = (await room.moderation.of(guildId)).links;
  const written = options
    .getString("domains")
    ?.split(/[\s,]+/)
    .filter((word) => word !== "");
  const domains = written?.map(normaliseDomain);
  const wrong = written?.filter((_, index) => domains?.[index] === undefined) ?? [];
  if (wrong.length > 0) {
    return replyPrivately(interaction, `These are no domains: ${wrong.join(", ").slice(0, 500)}`);
  }
  const links = linkPolicySchema.safeParse({
    links: options.getString("policy", true),
    domains: domains ?? before.domains,
    invites: options.getBoolean("invites") ?? before.invites,
  });
  if (!links.success)
    return replyPrivately(interaction, "That is too long a list: 200 domains at most.");
  const choices = await room.moderation.change(guildId, { links: links.data });
  return replyPrivately(interaction, describe(choices));
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
  const content = noted === undefined ? NO_SUCH_CASE : `Case ${number} has its note.`;
  await interaction.editReply({ content });
}

async function show(
  interaction: ChatInputCommandInteraction,
  found: Case | undefined,
): Promise<void> {
  await replyPrivately(
    interaction,
    found === undefined ? NO_SUCH_CASE : caseText(found, undefined),
  );
}

function noteForm({ number, note }: Case): ModalBuilder {
  const text = new TextInputBuilder()
    .setCustomId(NOTE_FIELD)
    .setStyle(TextInputStyle.Paragraph)
    .setMaxLength(NOTE_CHARACTERS)
    .setRequired(false);
  if (note !== "") text.setValue(note.slice(0, NOTE_CHARACTERS));
  return new ModalBuilder()
    .setCustomId(`${NOTE_FORM}:${number}`)
    .setTitle(`Case ${number}`)
    .addLabelComponents(new LabelBuilder().setLabel("Note").setTextInputComponent(text));
}

function describe({ logChannelId, alertChannelId, isDryRun, links }: ModerationChoices): string {
  const channel = (id: string | null, otherwise: string) => (id === null ? otherwise : `<#${id}>`);
  return [
    "**Moderation in this server**",
    `• Cases: ${channel(logChannelId, "kept, but posted nowhere")}`,
    `• Quiet alerts: ${channel(alertChannelId, "with the cases")}`,
    `• Rules of this server: ${isDryRun ? "only logged (dry run)" : "enforced on my answers"}`,
    `• Links: ${links.links}${links.domains.length === 0 ? "" : ` (${links.domains.join(", ").slice(0, 800)})`}; invitations ${links.invites ? "may" : "may not"} stand`,
  ].join("\n");
}
