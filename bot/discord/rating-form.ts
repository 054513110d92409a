/** The form behind "Rate this answer": one to five, and a comment. */
import {
  LabelBuilder,
  ModalBuilder,
  type ModalSubmitInteraction,
  StringSelectMenuBuilder,
  TextInputBuilder,
  TextInputStyle,
} from "discord.js";
import { COMMENT_CHARACTERS } from "../commands/rate.ts";

/** The kind of form, before the colon of its custom id. */
export const RATING_FORM = "rate";
const PREFIX = `${RATING_FORM}:`;
const FIELD = { stars: "stars", comment: "comment" } as const;
const CHOICES = ["excellent", "good", "so-so", "poor", "bad"];

/** The form for one answer; it carries the answer's id. */
export function ratingForm(candidateId: string): ModalBuilder {
  const stars = new StringSelectMenuBuilder()
    .setCustomId(FIELD.stars)
    .setPlaceholder("1 to 5")
    .addOptions(
      CHOICES.map((name, index) => {
        const value = CHOICES.length - index;
        return { label: `${"★".repeat(value)}${"☆".repeat(index)} ${name}`, value: String(value) };
      }),
    );
  const comment = new TextInputBuilder()
    .setCustomId(FIELD.comment)
    .setStyle(TextInputStyle.Paragraph)
    .setMaxLength(COMMENT_CHARACTERS)
    .setRequired(false);
  return new ModalBuilder()
    .setCustomId(`${PREFIX}${candidateId}`)
    .setTitle("Rate this answer")
    .addLabelComponents(
      new LabelBuilder().setLabel("How good is it?").setStringSelectMenuComponent(stars),
      new LabelBuilder().setLabel("What was good or bad about it?").setTextInputComponent(comment),
    );
}

/** The answer that a form is about; undefined for a form of another kind. */
export function candidateOfForm(customId: string): string | undefined {
  return customId.startsWith(PREFIX) ? customId.slice(PREFIX.length) : undefined;
}

/** What was filled in. */
export function readForm(interaction: ModalSubmitInteraction): {
  readonly stars: number;
  readonly comment: string | undefined;
} {
  const [stars] = interaction.fields.getStringSelectValues(FIELD.stars);
  const comment = interaction.fields.getTextInputValue(FIELD.comment).trim();
  return { stars: Number(stars), comment: comment === "" ? undefined : comment };
}
