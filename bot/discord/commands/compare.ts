/** `/compare`: draws two answers, shows them blind, takes votes, and reveals which was which. */
import type {
  AutocompleteInteraction,
  ButtonInteraction,
  ChatInputCommandInteraction,
  Client,
} from "discord.js";
import type { Logger } from "#engine/base/log.ts";
import { AnswerView } from "../../answer/answer-view.ts";
import { toDrafts } from "../../answer/draft.ts";
import { EditScheduler } from "../../answer/edit-scheduler.ts";
import { type Question, WITHDRAWN } from "../../answer/question.ts";
import { answerContents, failureNotice, queueNotice, refusalNotice } from "../../answer/wording.ts";
import { DEFAULT_MINUTES, DEFAULT_QUORUM } from "../../commands/compare.ts";
import { notSavedReply } from "../../commands/replies.ts";
import {
  blindText,
  type Comparison,
  compareButtons,
  openFooter,
  revealFooter,
  type Tally,
  withFooter,
} from "../../compare/comparison.ts";
import type { DrawnTwo } from "../../compare/draw-two.ts";
import type { Languages } from "../../language/languages.ts";
import { appealButtons } from "../../moderation/appeal-button.ts";
import { type Verdict, withheldText } from "../../moderation/withheld.ts";
import { replyPrivately } from "../private-reply.ts";
import { channelOf, placeOf, type Room } from "../room.ts";
import { interactionSurface } from "../surfaces.ts";
import { termsFor } from "../terms.ts";
import { headingFor } from "./heading.ts";

const MINUTE_MS = 60_000;
const CHOICES_SHOWN = 25;

/** Asks, shows and opens the vote. */
export async function compare(room: Room, interaction: ChatInputCommandInteraction): Promise<void> {
  const channel = await channelOf(room, interaction);
  const place = placeOf(interaction, channel);
  const personKey = room.pseudonymise(interaction.user.id);
  const { member } = interaction;
  const offer = await termsFor(room, { place, channel, member, personKey });
  if (offer.kind === "refused") {
    const own = room.languages.of(interaction.locale);
    return replyPrivately(interaction, own.say(offer.notice));
  }
  const language = await room.languageOf(interaction.guildId, interaction.locale);
  await interaction.deferReply();
  const surface = interactionSurface(interaction, channel?.isSendable() ? channel : undefined);
  const view = new AnswerView(surface, new EditScheduler());
  const text = interaction.options.getString("text", true);
  const question = {
    text,
    ...place,
    personKey,
    personName: interaction.user.displayName,
    ...offer.terms,
    language,
    locale: interaction.locale,
  };
  await room.desk.during(question, (signal) =>
    askTwice(room, interaction, { question, view, signal }),
  );
}

type Asked = {
  readonly question: Question;
  readonly view: AnswerView;
  readonly signal: AbortSignal;
};

/** Draws both and shows them, or says why not. Never rejects. */
async function askTwice(
  room: Room,
  interaction: ChatInputCommandInteraction,
  asked: Asked,
): Promise<void> {
  const { question, view, signal } = asked;
  const { language } = question;
  const first = interaction.options.getString("first") ?? question.adapter;
  const second = interaction.options.getString("second") ?? first;
  const tellPosition = (position: number, waitMs?: number) =>
    view.show([{ content: queueNotice(language, position, waitMs) }]);
  try {
    const admission = await room.desk.drawTwo(question, [first, second], tellPosition, signal);
    signal.throwIfAborted();
    if (admission.kind === "refused")
      await view.finish([{ content: refusalNotice(language, admission) }]);
    else await show(room, interaction, asked, admission.value);
  } catch (error) {
    if (signal.reason === WITHDRAWN) {
      await view.finish([]);
      // What was deferred and never shown would seem to be thinking for a quarter of an hour.
      await interaction.deleteReply().catch(() => undefined);
      return;
    }
    const isEnding = signal.aborted;
    if (!isEnding) room.log.warn({ err: error }, "a comparison failed");
    const content = isEnding
      ? refusalNotice(language, { reason: "closing" })
      : failureNotice(language, error);
    await view.finish([{ content }]);
  }
}

/** A vote's button. The choice is each person's own until the comparison is closed. */
export async function pressCompare(room: Room, interaction: ButtonInteraction): Promise<void> {
  const [, choice, id = ""] = interaction.customId.split(":");
  const comparison = await room.comparisons.find(id);
  if (comparison === undefined || comparison.isClosed) {
    const own = room.languages.of(interaction.locale);
    return replyPrivately(interaction, own.say("compare.closed"));
  }
  const outcome = choose(room, interaction, comparison, choice ?? "");
  if (outcome !== undefined) return replyPrivately(interaction, outcome);
  const language = room.languages.of(comparison.locale);
  const footer = openFooter(language, comparison, room.comparisons.tally(comparison));
  await interaction.update({ content: withFooter(interaction.message.content, footer) });
  await room.comparisons.closeDue();
}

/** The adapters that can be compared. */
export async function suggestAdapters(
  room: Room,
  interaction: AutocompleteInteraction,
): Promise<void> {
  const typed = interaction.options.getFocused().toLowerCase();
  const names = await room.adapterNames();
  const fitting = ["base", ...names].filter((name) => name.toLowerCase().includes(typed));
  await interaction.respond(fitting.slice(0, CHOICES_SHOWN).map((name) => ({ name, value: name })));
}

/** Edits a comparison's last message so that it says which was which. Never rejects. */
export async function reveal(
  {
    client,
    languages,
    log,
  }: { readonly client: Client; readonly languages: Languages; readonly log: Logger },
  comparison: Comparison,
  tally: Tally,
): Promise<void> {
  try {
    const channel = await client.channels.fetch(comparison.channelId);
    const last = comparison.messageIds.at(-1);
    if (channel?.isSendable() !== true || last === undefined) return;
    const message = await channel.messages.fetch(last);
    const footer = revealFooter(languages.of(comparison.locale), comparison, tally);
    const content = withFooter(message.content, footer);
    await channel.messages.edit(last, { content, components: [] });
  } catch (error) {
    log.warn({ err: error }, "a comparison could not be revealed");
  }
}

async function show(
  room: Room,
  interaction: ChatInputCommandInteraction,
  { question, view }: Asked,
  drawn: DrawnTwo,
): Promise<void> {
  const { language } = question;
  if (drawn.kind === "blocked") return showBlocked(room, { question, view }, drawn.verdict);
  if (drawn.kind === "alike") {
    await view.finish([{ content: language.say("compare.alike") }]);
    return;
  }
  const { two, exchange } = drawn;
  const { options } = interaction;
  const minutes = options.getInteger("minutes") ?? DEFAULT_MINUTES;
  const [a, b] = two;
  const draft: Comparison = {
    id: interaction.id,
    guildId: interaction.guildId,
    channelId: interaction.channelId,
    messageIds: [],
    sides: [
      { candidateId: a.candidateId, name: a.name },
      { candidateId: b.candidateId, name: b.name },
    ],
    quorum: options.getInteger("votes") ?? DEFAULT_QUORUM,
    closesAtMs: interaction.createdTimestamp + minutes * MINUTE_MS,
    isClosed: false,
    locale: language.code,
  };
  const contents = answerContents(language, blindText(language, a.text, b.text), {
    heading: await headingFor(room.screens, question, question.text),
    footer: openFooter(language, draft, { a: 0, b: 0 }),
  });
  const shown = await view.finish(
    toDrafts(contents, { buttons: compareButtons(language, draft.id) }),
  );
  // A deleted message of it erases the exchange.
  room.capture.shownTogether(exchange, shown.messageIds);
  await room.comparisons.open({ ...draft, messageIds: [...shown.messageIds] });
}

/** As with any answer that is withheld: with a case, a quiet alert where it has to be, and a way to appeal. */
async function showBlocked(
  room: Room,
  { question, view }: Pick<Asked, "question" | "view">,
  verdict: Verdict | undefined,
): Promise<void> {
  const { language, guildId } = question;
  if (verdict === undefined) {
    await view.finish([{ content: language.say("withheld.one_of_two") }]);
    return;
  }
  const content = withheldText(language, verdict);
  const buttons = appealButtons(language, guildId, verdict.category);
  const { messageIds } = await view.finish(toDrafts([content], { buttons }));
  room.desk.refused(question, verdict, messageIds);
}

/** @returns what to tell where it was not saved */
function choose(
  room: Room,
  interaction: ButtonInteraction,
  comparison: Comparison,
  choice: string,
): string | undefined {
  const stamp = room.stamps.ofInteraction(interaction);
  const personId = interaction.user.id;
  const outcomes = comparison.sides.map(({ candidateId }, index) => {
    const said = { candidateId, personId, stamp };
    if (choice === "none") return room.capture.unvote(said);
    return room.capture.vote(said, (choice === "a") === (index === 0) ? 1 : -1);
  });
  const failed = outcomes.find((outcome) => outcome.kind === "not_saved");
  if (failed === undefined) return undefined;
  return notSavedReply(room.languages.of(interaction.locale), failed.isDiskFull);
}
