/** Where people write: text, replies, edits, mentions, and the way into slash commands. */
import { CommandForm, type FormHost } from "./command-form.ts";
import { entryTyped, labelOf, matchEntries, type SlashEntry, slashEntries } from "./commands.ts";
import { type Completion, CompletionList } from "./completion.ts";
import { announce, byId, el } from "./dom.ts";
import { nameOf } from "./message-view.ts";
import type { ChatState } from "./state.ts";
import type { Message, Outcome } from "./types.ts";

/** Discord's limit of a message, in characters. */
const CONTENT_LIMIT = 2_000;
/** From here on the number of characters left is shown. */
const COUNT_FROM = 1_800;
/** Someone who writes on tells so again after this, in milliseconds. */
const TYPING_EVERY_MS = 8_000;

/** What the composer asks of the page. */
export type ComposerHost = {
  /** Shows what came of a command: a form to fill in, a failure. */
  readonly onOutcome: (outcome: Outcome) => void;
  /** Shows that a command is under way until the promise settles. */
  readonly onSending: (label: string, done: Promise<unknown>) => void;
};

/** The composer. */
export class Composer {
  readonly #state: ChatState;
  readonly #host: ComposerHost;
  readonly #root = byId("composer");
  readonly #banner = el("div", { class: "banner", hidden: true });
  readonly #count = el("span", { class: "count-left", "aria-live": "polite" });
  readonly #input = el("textarea", {
    id: "composer-input",
    rows: "1",
    role: "combobox",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": "completions",
    autocomplete: "off",
  });
  readonly #send = el(
    "button",
    { type: "button", class: "send", "aria-label": "Send", title: "Send (Enter)" },
    "➤",
  );
  readonly #line = el("div", { class: "compose-line" }, this.#input, this.#count, this.#send);
  readonly #completions = new CompletionList(this.#input);
  #form: CommandForm | undefined;
  #editing: Message | undefined;
  #toldTypingAtMs = 0;
  /** What was begun elsewhere, by channel. */
  readonly #drafts = new Map<string, string>();
  #placeId = "";

  constructor(state: ChatState, host: ComposerHost) {
    this.#state = state;
    this.#host = host;
    this.#root.replaceChildren(this.#completions.element, this.#banner, this.#line);
    this.#input.addEventListener("input", () => this.#typed());
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#input.addEventListener("blur", () => this.#completions.close());
    this.#send.addEventListener("click", () => void this.#submit());
    state.subscribe((change) => {
      if (change.part === "place") this.#enterPlace();
      if (change.part === "reply") this.#drawBanner();
      if (change.part === "person") this.#reset();
      // Who types a slash while the page loads still gets the list.
      if (change.part === "commands" && this.#form === undefined && this.#isFocused()) {
        this.#complete();
      }
    });
  }

  focus(): void {
    if (this.#form === undefined) this.#input.focus();
    else this.#form.focus();
  }

  /** Puts an own message into the composer to change it. */
  edit(message: Message): void {
    this.#closeForm();
    this.#state.setReply(undefined);
    this.#editing = message;
    this.#input.value = message.content;
    this.#drawBanner();
    this.#grow();
    this.#input.focus();
  }

  #enterPlace(): void {
    const { channel } = this.#state;
    this.#keepDraft();
    const name =
      channel?.kind === "direct"
        ? "@Zephyr"
        : channel?.kind === "text"
          ? `#${channel.name}`
          : (channel?.name ?? "");
    this.#input.placeholder = `Message ${name}`;
    this.#input.setAttribute("aria-label", `Message ${name}. Type a slash for commands.`);
    this.#reset();
  }

  #keepDraft(): void {
    const { channelId } = this.#state;
    if (channelId === this.#placeId) return;
    const written = this.#editing === undefined ? this.#input.value : "";
    const isFirst = this.#placeId === "";
    this.#drafts.set(this.#placeId, written);
    this.#placeId = channelId;
    // What is written before the first place has loaded belongs there.
    this.#input.value = this.#drafts.get(channelId) ?? (isFirst ? written : "");
    this.#grow();
  }

  #isFocused(): boolean {
    return document.activeElement === this.#input;
  }

  #reset(): void {
    this.#editing = undefined;
    this.#closeForm();
    this.#completions.close();
    this.#drawBanner();
  }

  #typed(): void {
    this.#grow();
    const left = CONTENT_LIMIT - this.#input.value.length;
    this.#count.textContent = left > CONTENT_LIMIT - COUNT_FROM ? "" : String(left);
    this.#count.classList.toggle("over", left < 0);
    if (this.#openTypedCommand()) return;
    this.#complete();
    this.#tellTyping();
  }

  /** "/name " with a space, or "/name words" pasted, goes straight into the command's form. */
  #openTypedCommand(): boolean {
    if (this.#editing !== undefined || !this.#input.value.startsWith("/")) return false;
    const typed = this.#input.value.slice(1);
    const found = entryTyped(slashEntries(this.#state.commands), typed);
    if (found === undefined) return false;
    this.#openForm(found.entry, found.rest);
    return true;
  }

  #complete(): void {
    const before = this.#input.value.slice(0, this.#input.selectionStart);
    const slash = /^\/([^\n]*)$/.exec(before)?.[1];
    if (slash !== undefined && this.#editing === undefined) {
      const entries = matchEntries(slashEntries(this.#state.commands), slash);
      this.#completions.show(
        "Zephyr's commands",
        entries.map((entry) => this.#commandCompletion(entry)),
      );
      return;
    }
    const mention = /(?:^|\s)@([\p{L}\p{N}]*)$/u.exec(before)?.[1];
    if (mention === undefined) {
      this.#completions.close();
      return;
    }
    const people = this.#state.community.people.filter(
      (person) =>
        (person.listed || person.bot) &&
        person.name.toLowerCase().startsWith(mention.toLowerCase()),
    );
    // A name that stands there whole needs no completing: Enter then sends.
    const isWhole = people.length === 1 && people[0]?.name.toLowerCase() === mention.toLowerCase();
    if (isWhole) people.pop();
    this.#completions.show(
      "People",
      people.map((person) => this.#mentionCompletion(person.name, person.bot, mention.length)),
    );
  }

  #commandCompletion(entry: SlashEntry): Completion {
    const hint = entry.options
      .map((option) => (option.required === true ? labelOf(option) : `${labelOf(option)}?`))
      .join(" ");
    return {
      label: `/${entry.label}`,
      hint,
      detail: entry.description,
      choose: () => this.#openForm(entry, ""),
    };
  }

  #mentionCompletion(name: string, isBot: boolean, typedLength: number): Completion {
    const choose = () => {
      const end = this.#input.selectionStart;
      this.#input.setRangeText(`${name} `, end - typedLength, end, "end");
      this.#completions.close();
    };
    return {
      label: `@${name}`,
      hint: "",
      detail: isBot ? "Answers when it is mentioned" : "",
      choose,
    };
  }

  #key(event: KeyboardEvent): void {
    if (event.isComposing || this.#completions.handle(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      void this.#submit();
    } else if (event.key === "Escape") this.#leaveBanner();
    else if (event.key === "ArrowUp" && this.#input.value === "") {
      const mine = this.#state.messages.findLast((each) => each.author.id === this.#state.me.id);
      if (mine === undefined) return;
      event.preventDefault();
      this.edit(mine);
    }
  }

  async #submit(): Promise<void> {
    const content = this.#withMentions(this.#input.value.trim());
    if (content === "") return;
    const { connection, channelId, replyTo } = this.#state;
    const editing = this.#editing;
    this.#input.value = "";
    this.#completions.close();
    this.#leaveBanner();
    this.#typed();
    try {
      if (editing !== undefined) await connection.edit(editing.id, content);
      else await connection.say(channelId, content, replyTo?.id);
      this.#toldTypingAtMs = 0;
    } catch (error) {
      // What was written is not lost.
      if (this.#input.value === "") this.#input.value = content;
      this.#grow();
      announce(error instanceof Error ? error.message : String(error));
    }
  }

  /** "@Zephyr" becomes the mention that Discord understands. */
  #withMentions(text: string): string {
    const named = this.#state.community.people.filter((person) => person.listed || person.bot);
    return text.replaceAll(/@([\p{L}\p{N}]+)/gu, (whole, name: string) => {
      const person = named.find((each) => each.name.toLowerCase() === name.toLowerCase());
      return person === undefined ? whole : `<@${person.id}>`;
    });
  }

  #openForm(entry: SlashEntry, typed: string): void {
    this.#completions.close();
    this.#input.value = "";
    this.#form = new CommandForm(entry, this.#formHost(entry.label), typed);
    this.#line.replaceWith(this.#form.element);
    this.#form.focus();
  }

  #formHost(label: string): FormHost {
    const { community, channels, connection, channelId } = this.#state;
    return {
      users: community.people.filter((person) => person.listed || person.bot),
      channels: channels.filter((channel) => channel.kind === "text" || channel.kind === "thread"),
      cancel: () => {
        this.#closeForm();
        this.#input.focus();
      },
      complete: async (name, values, focused) => {
        const outcome = await connection.autocomplete(channelId, name, values, focused);
        return outcome.kind === "choices" ? outcome.choices : [];
      },
      submit: async (name, values) => {
        const form = this.#form;
        const sent = connection.slash(channelId, name, values);
        this.#host.onSending(`/${label}`, sent);
        // The refusals of a wrong option come at once; an answer may take three seconds.
        const isQuick = await Promise.race([
          sent.then(() => true),
          new Promise<false>((go) => setTimeout(() => go(false), 150)),
        ]);
        if (this.#form === form) {
          this.#closeForm();
          this.#input.focus();
        }
        const outcome = isQuick
          ? await sent
          : await sent.catch((error: Error) => announce(error.message));
        if (outcome !== undefined) this.#host.onOutcome(outcome);
      },
    };
  }

  #closeForm(): void {
    if (this.#form === undefined) return;
    this.#form.element.replaceWith(this.#line);
    this.#form = undefined;
  }

  #leaveBanner(): void {
    if (this.#editing !== undefined) this.#input.value = "";
    this.#editing = undefined;
    this.#state.setReply(undefined);
  }

  #drawBanner(): void {
    const { replyTo } = this.#state;
    const text =
      this.#editing === undefined
        ? replyTo && `Replying to ${nameOf(replyTo)}`
        : "Changing your message";
    this.#banner.hidden = text === undefined;
    if (text === undefined) return;
    const close = el(
      "button",
      {
        type: "button",
        class: "icon",
        "aria-label": "Stop",
        title: "Stop (Esc)",
        onclick: () => this.#leaveBanner(),
      },
      "✕",
    );
    this.#banner.replaceChildren(el("span", {}, text), close);
    if (replyTo !== undefined) this.#input.focus();
  }

  #grow(): void {
    this.#input.style.height = "auto";
    this.#input.style.height = `${Math.min(this.#input.scrollHeight, 220)}px`;
  }

  #tellTyping(): void {
    const { value } = this.#input;
    const now = Date.now();
    if (value === "" || value.startsWith("/") || now - this.#toldTypingAtMs < TYPING_EVERY_MS)
      return;
    this.#toldTypingAtMs = now;
    // Nothing depends on it: when it fails, nobody sees the indicator.
    this.#state.connection.type(this.#state.channelId).catch(() => undefined);
  }
}
