/** One language: its messages, and numbers, dates and lists as it writes them. */
import { ENGLISH, type MessageKey, type ValuesOf } from "./english.ts";
import { fill, type Message, type PluralForm } from "./message.ts";

/** Messages by their keys. */
export type Catalogue = Readonly<Partial<Record<MessageKey, Message>>>;

type Value = string | number | Date;

/** A language in which the bot speaks. */
export class Language {
  /** As BCP 47 has it, such as `de` or `pt-BR`. */
  readonly code: string;
  readonly #messages: Catalogue;
  readonly #numbers: Intl.NumberFormat;
  readonly #magnitudes: Intl.NumberFormat;
  readonly #dates: Intl.DateTimeFormat;
  readonly #lists: Intl.ListFormat;
  readonly #plurals: Intl.PluralRules;

  /** @param messages what is not in it is said in English */
  constructor(code: string, messages: Catalogue) {
    this.code = code;
    this.#messages = messages;
    this.#numbers = new Intl.NumberFormat(code);
    this.#magnitudes = new Intl.NumberFormat(code, {
      notation: "compact",
      compactDisplay: "long",
      maximumFractionDigits: 1,
    });
    this.#dates = new Intl.DateTimeFormat(code, { dateStyle: "medium", timeZone: "UTC" });
    this.#lists = new Intl.ListFormat(code, { type: "conjunction", style: "narrow" });
    this.#plurals = new Intl.PluralRules(code);
  }

  /** Whether it is English as it is spoken anywhere. */
  get isEnglish(): boolean {
    return new Intl.Locale(this.code).language === "en";
  }

  /** A message with its placeholders filled; numbers and dates as the language writes them. */
  say<K extends MessageKey>(key: K, ...values: ValuesOf<K>): string {
    const filled: Readonly<Record<string, Value>> = values[0] ?? {};
    const message: Message = this.#messages[key] ?? ENGLISH[key];
    const text = typeof message === "string" ? message : formOf(message, this.#form(filled));
    return fill(text, (name) => this.#write(filled[name] ?? ""));
  }

  /** A message without placeholders, as it stands. */
  asIs(key: MessageKey): string {
    const message: Message = this.#messages[key] ?? ENGLISH[key];
    return typeof message === "string" ? message : message.other;
  }

  /** A number in words where it is large: "4.9 million". */
  magnitude(count: number): string {
    return this.#magnitudes.format(count);
  }

  /** Several things in a row: "a, b, c". */
  list(items: readonly string[]): string {
    return this.#lists.format(items);
  }

  #form({ count }: Readonly<Record<string, Value>>): PluralForm {
    return this.#plurals.select(Number(count));
  }

  #write(value: Value): string {
    if (typeof value === "string") return value;
    return typeof value === "number" ? this.#numbers.format(value) : this.#dates.format(value);
  }
}

function formOf(message: Exclude<Message, string>, form: PluralForm): string {
  return message[form] ?? message.other;
}
