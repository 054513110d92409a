/** The composer while a slash command is filled in: one inline field for each option. */
import { descriptionOf, labelOf, type SlashEntry } from "./commands.ts";
import { el } from "./dom.ts";
import type { OptionValues } from "./server.ts";
import type { CommandOption } from "./types.ts";

/** Discord's option types: https://discord.com/developers/docs/interactions/application-commands */
const INTEGER = 4;
const BOOLEAN = 5;
const USER = 6;
const CHANNEL = 7;
const NUMBER = 10;
const ATTACHMENT = 11;

/** What the form asks of the page. */
export type FormHost = {
  readonly users: readonly { readonly id: string; readonly name: string }[];
  readonly channels: readonly { readonly id: string; readonly name: string }[];
  /** Uses the command. A rejection's message is shown in the form. */
  readonly submit: (name: string, values: OptionValues) => Promise<void>;
  readonly cancel: () => void;
  readonly complete: (
    name: string,
    values: OptionValues,
    focused: string,
  ) => Promise<readonly { name: string; value: string | number }[]>;
};

type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;
type Field = {
  readonly option: CommandOption;
  readonly box: HTMLElement;
  readonly control: Control;
};

/** One command being filled in. */
export class CommandForm {
  readonly element: HTMLFormElement;
  readonly #entry: SlashEntry;
  readonly #host: FormHost;
  readonly #fields: Field[];
  readonly #error = el("p", { class: "form-error", role: "alert" });
  readonly #hint = el("p", { class: "form-hint" });
  readonly #more = el("span", { class: "form-more" });

  /** @param typed text that was written after the command's name already; goes into the first option */
  constructor(entry: SlashEntry, host: FormHost, typed: string) {
    this.#entry = entry;
    this.#host = host;
    this.#fields = entry.options.map((option) => this.#field(option));
    for (const field of this.#fields) field.box.hidden = field.option.required !== true;
    const first = this.#fields[0];
    if (first !== undefined && typed !== "") {
      first.box.hidden = false;
      first.control.value = typed;
    }
    this.element = el(
      "form",
      { class: "command-form", "aria-label": `Command ${entry.label}`, novalidate: true },
      this.#hint,
      el(
        "div",
        { class: "form-line" },
        el("span", { class: "command-chip" }, `/${entry.label}`),
        ...this.#fields.map((field) => field.box),
        this.#more,
        el(
          "button",
          {
            type: "button",
            class: "icon",
            "aria-label": "Cancel the command",
            title: "Cancel (Esc)",
            onclick: () => host.cancel(),
          },
          "✕",
        ),
        el(
          "button",
          { type: "submit", class: "send", "aria-label": "Use the command", title: "Send (Enter)" },
          "➤",
        ),
      ),
      this.#error,
    );
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.#hint.textContent = entry.description;
    this.#drawMore();
  }

  /** Puts the keyboard into the first field that is open. */
  focus(): void {
    const first = this.#fields.find((field) => !field.box.hidden);
    if (first === undefined) this.element.querySelector<HTMLElement>(".send")?.focus();
    else first.control.focus();
  }

  #field(option: CommandOption): Field {
    const control = this.#control(option);
    control.setAttribute("name", option.name);
    control.setAttribute("aria-label", `${labelOf(option)}: ${descriptionOf(option)}`);
    control.addEventListener("focus", () => {
      this.#hint.textContent = `${labelOf(option)} — ${descriptionOf(option)}${option.required === true ? "" : " (optional)"}`;
    });
    const box = el(
      "label",
      { class: "option" },
      el("span", { class: "option-name" }, labelOf(option)),
      control,
    );
    return { option, box, control };
  }

  #control(option: CommandOption): Control {
    const isOptional = option.required !== true;
    const pick = (choices: readonly { readonly name: string; readonly value: string | number }[]) =>
      el(
        "select",
        {},
        el("option", { value: "" }, isOptional ? "—" : "choose…"),
        ...choices.map((each) => el("option", { value: String(each.value) }, each.name)),
      );
    if (option.choices && option.choices.length > 0) {
      return pick(option.choices.map((each) => ({ name: labelOf(each), value: each.value })));
    }
    switch (option.type) {
      case INTEGER:
      case NUMBER:
        return numberInput(option);
      case BOOLEAN:
        return pick([
          { name: "yes", value: "true" },
          { name: "no", value: "false" },
        ]);
      case USER:
        return pick(this.#host.users.map(({ id, name }) => ({ name, value: id })));
      case CHANNEL:
        return pick(this.#host.channels.map(({ id, name }) => ({ name: `#${name}`, value: id })));
      case ATTACHMENT:
        return el("input", { type: "file" });
      default:
        return option.autocomplete === true ? this.#completed(option) : textInput(option);
    }
  }

  /** A field whose suggestions come from the application. */
  #completed(option: CommandOption): HTMLInputElement {
    const listId = `choices-${option.name}`;
    const list = el("datalist", { id: listId });
    const input = el("input", { type: "text", list: listId, autocomplete: "off" });
    input.append(list);
    let latest = 0;
    input.addEventListener("input", () => {
      latest += 1;
      const mine = latest;
      const values = { ...this.#values(), [option.name]: input.value };
      void this.#host.complete(this.#entry.name, values, option.name).then((choices) => {
        if (mine !== latest) return;
        list.replaceChildren(
          ...choices.map((each) => el("option", { value: String(each.value) }, each.name)),
        );
        if (!list.isConnected) input.after(list);
      });
    });
    return input;
  }

  /** Buttons for the options that are left out. */
  #drawMore(): void {
    const hidden = this.#fields.filter((field) => field.box.hidden);
    this.#more.replaceChildren(
      ...hidden.map((field) =>
        el(
          "button",
          {
            type: "button",
            class: "option-add",
            title: descriptionOf(field.option),
            onclick: () => {
              field.box.hidden = false;
              this.#drawMore();
              field.control.focus();
            },
          },
          `+ ${labelOf(field.option)}`,
        ),
      ),
    );
  }

  #key(event: KeyboardEvent): void {
    if (event.key === "Escape") {
      event.preventDefault();
      this.#host.cancel();
      return;
    }
    const { target } = event;
    if (
      event.key === "Enter" &&
      !event.shiftKey &&
      !event.isComposing &&
      !(target instanceof HTMLButtonElement)
    ) {
      event.preventDefault();
      this.element.requestSubmit();
    }
    const first = this.#fields.find((field) => !field.box.hidden);
    const isEmptied = target === first?.control && first?.control.value === "";
    if (event.key === "Backspace" && isEmptied) {
      event.preventDefault();
      this.#host.cancel();
    }
  }

  #values(): OptionValues {
    const values: OptionValues = {};
    for (const { option, control } of this.#fields) {
      if (control.value.trim() === "" || option.type === ATTACHMENT) continue;
      values[option.name] = readValue(option, control.value);
    }
    return values;
  }

  /** Files are read when the command is used, not while it is typed. */
  async #files(): Promise<OptionValues> {
    const values: OptionValues = {};
    for (const { option, control } of this.#fields) {
      const chosen = control instanceof HTMLInputElement ? control.files?.[0] : undefined;
      if (chosen === undefined) continue;
      const bytes = new Uint8Array(await chosen.arrayBuffer());
      const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
      values[option.name] = { name: chosen.name, contentType: chosen.type, base64 };
    }
    return values;
  }

  async #submit(): Promise<void> {
    const wrong = this.#fields.find(
      ({ option, control }) => complaint(option, control.value) !== undefined,
    );
    for (const field of this.#fields)
      field.control.setAttribute("aria-invalid", String(field === wrong));
    if (wrong !== undefined) {
      this.#error.textContent = complaint(wrong.option, wrong.control.value) ?? "";
      wrong.box.hidden = false;
      wrong.control.focus();
      return;
    }
    try {
      await this.#host.submit(this.#entry.name, { ...this.#values(), ...(await this.#files()) });
    } catch (error) {
      this.#error.textContent = error instanceof Error ? error.message : String(error);
    }
  }
}

function numberInput(option: CommandOption): HTMLInputElement {
  const range = [option.min_value, option.max_value]
    .filter((bound) => bound !== undefined)
    .join("–");
  return el("input", {
    type: "number",
    inputmode: "numeric",
    step: option.type === INTEGER ? "1" : "any",
    min: option.min_value,
    max: option.max_value,
    placeholder: range,
  });
}

function textInput(option: CommandOption): HTMLTextAreaElement {
  const area = el("textarea", { rows: "1", maxlength: option.max_length });
  area.addEventListener("input", () => {
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, 160)}px`;
  });
  return area;
}

function readValue(option: CommandOption, text: string): string | number | boolean {
  const choice = option.choices?.find((each) => String(each.value) === text);
  if (choice !== undefined) return choice.value;
  if (option.type === INTEGER || option.type === NUMBER) return Number(text);
  if (option.type === BOOLEAN) return text === "true";
  return text.trim();
}

/** What is wrong with a value, in words. */
function complaint(option: CommandOption, text: string): string | undefined {
  const given = text.trim();
  if (given === "") return option.required === true ? `${labelOf(option)} is needed.` : undefined;
  if (option.type !== INTEGER && option.type !== NUMBER) return undefined;
  const value = readValue(option, given);
  const least = option.min_value ?? Number.MIN_SAFE_INTEGER;
  const most = option.max_value ?? Number.MAX_SAFE_INTEGER;
  const isWhole = option.type === NUMBER || Number.isInteger(value);
  if (typeof value === "number" && isWhole && value >= least && value <= most) return undefined;
  const kind = option.type === INTEGER ? "a whole number" : "a number";
  const range =
    option.min_value === undefined ? "" : ` from ${option.min_value} to ${option.max_value}`;
  return `${labelOf(option)} has to be ${kind}${range}.`;
}
