/** A form with one thing to choose and, where somebody wants to, words of their own. It knows nothing of what for. */
import {
  LabelBuilder,
  ModalBuilder,
  StringSelectMenuBuilder,
  TextInputBuilder,
  TextInputStyle,
} from "discord.js";

/** What the form asks, in the person's language. */
export type ChoiceForm = {
  readonly customId: string;
  readonly title: string;
  readonly choice: {
    readonly field: string;
    readonly label: string;
    readonly placeholder?: string;
    readonly options: readonly { readonly label: string; readonly value: string }[];
  };
  readonly words: {
    readonly field: string;
    readonly label: string;
    readonly mostCharacters: number;
  };
};

/** Builds the form. */
export function choiceForm({ customId, title, choice, words }: ChoiceForm): ModalBuilder {
  const select = new StringSelectMenuBuilder()
    .setCustomId(choice.field)
    .addOptions(...choice.options);
  if (choice.placeholder !== undefined) select.setPlaceholder(choice.placeholder);
  const text = new TextInputBuilder()
    .setCustomId(words.field)
    .setStyle(TextInputStyle.Paragraph)
    .setMaxLength(words.mostCharacters)
    .setRequired(false);
  return new ModalBuilder()
    .setCustomId(customId)
    .setTitle(title)
    .addLabelComponents(
      new LabelBuilder().setLabel(choice.label).setStringSelectMenuComponent(select),
      new LabelBuilder().setLabel(words.label).setTextInputComponent(text),
    );
}
