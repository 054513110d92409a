/** The form behind "Rate this answer": one to five, and a comment. */
import type { ModalBuilder, ModalSubmitInteraction } from "discord.js";
import { COMMENT_CHARACTERS } from "../commands/rate.ts";
import type { Language } from "../language/language.ts";
import { choiceForm } from "./choice-form.ts";

/** The kind of form, before the colon of its custom id. */
export const RATING_FORM = "rate";
const PREFIX = `${RATING_FORM}:`;
const FIELD = { stars: "stars", comment: "comment" } as const;
const STARS = [5, 4, 3, 2, 1] as const;

/** The form for one answer; it carries the answer's id. */
export function ratingForm(language: Language, candidateId: string): ModalBuilder {
  return choiceForm({
    customId: `${PREFIX}${candidateId}`,
    title: language.say("title.rate"),
    choice: {
      field: FIELD.stars,
      label: language.say("label.rate.stars"),
      placeholder: language.say("placeholder.rate.stars"),
      options: STARS.map((stars) => {
        const shown = `${"★".repeat(stars)}${"☆".repeat(STARS.length - stars)}`;
        const label = `${shown} ${language.say(`option.rate.${stars}`)}`;
        return { label, value: String(stars) };
      }),
    },
    words: {
      field: FIELD.comment,
      label: language.say("label.rate.comment"),
      mostCharacters: COMMENT_CHARACTERS,
    },
  });
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
