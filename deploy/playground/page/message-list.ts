/** The list of messages: keeps its elements, its scroll position and the keyboard's place in it. */
import { byId, el } from "./dom.ts";
import { dayOf, type MessageActions, messageView } from "./message-view.ts";
import type { ChatState } from "./state.ts";
import type { Message } from "./types.ts";

/** Nearer to the end than this, new messages are scrolled to. */
const NEAR_END_PX = 120;

/** Shows the state's messages. */
export class MessageList {
  readonly #state: ChatState;
  readonly #actions: () => MessageActions;
  readonly #root = byId("messages");

  constructor(state: ChatState, actions: () => MessageActions) {
    this.#state = state;
    this.#actions = actions;
    // A region that scrolls has to be reachable by keyboard.
    this.#root.tabIndex = 0;
    this.#root.addEventListener("scroll", () => this.#loadOlderAtTop());
    this.#root.addEventListener("keydown", (event) => this.#move(event));
    state.subscribe((change) => {
      if (change.part === "messages") this.#drawAll();
      if (change.part === "message") this.#draw(change.message, change.isNew);
      if (change.part === "messageDeleted") this.#remove(change.id);
    });
  }

  /** Scrolls to a message and marks it for a moment. */
  jumpTo(id: string): void {
    const row = this.#row(id);
    if (row === null) return;
    row.scrollIntoView({ block: "center", behavior: "smooth" });
    row.focus({ preventScroll: true });
    row.classList.add("found");
    setTimeout(() => row.classList.remove("found"), 1_600);
  }

  /** Scrolls to the newest message. */
  toEnd(): void {
    this.#root.scrollTop = this.#root.scrollHeight;
  }

  #drawAll(): void {
    const heldId = this.#topRow()?.dataset["id"];
    const heldTop = this.#topRow()?.getBoundingClientRect().top ?? 0;
    const { messages } = this.#state;
    const rows = messages.flatMap((message, index) => this.#rowsOf(message, messages[index - 1]));
    this.#root.replaceChildren(this.#beginning(), ...rows);
    const held = heldId === undefined ? null : this.#row(heldId);
    if (held === null) this.toEnd();
    else this.#root.scrollTop += held.getBoundingClientRect().top - heldTop;
  }

  #rowsOf(message: Message, previous: Message | undefined): HTMLElement[] {
    const row = messageView(message, previous, this.#actions());
    if (previous !== undefined && dayOf(previous.timestamp) === dayOf(message.timestamp))
      return [row];
    return [
      el("div", { class: "day", role: "separator" }, el("span", {}, dayOf(message.timestamp))),
      row,
    ];
  }

  /** What stands above the first message. */
  #beginning(): HTMLElement {
    const { channel, hasOlder } = this.#state;
    if (hasOlder) return el("p", { class: "older" }, "Scroll up for older messages");
    const name = channel?.kind === "direct" ? "Zephyr" : (channel?.name ?? "");
    const sign = channel?.kind === "text" ? "#" : "";
    return el(
      "div",
      { class: "beginning" },
      el("h3", {}, channel?.kind === "thread" ? name : `${sign}${name}`),
      el(
        "p",
        {},
        channel?.kind === "direct"
          ? "A private conversation with Zephyr."
          : channel?.kind === "thread"
            ? "The start of this thread."
            : "The start of this channel. Type / to see what Zephyr can do.",
      ),
    );
  }

  #draw(message: Message, isNew: boolean): void {
    const isNearEnd =
      this.#root.scrollHeight - this.#root.scrollTop - this.#root.clientHeight < NEAR_END_PX;
    const { messages } = this.#state;
    const index = messages.findIndex((each) => each.id === message.id);
    const previous = messages[index - 1];
    if (isNew) this.#root.append(...this.#rowsOf(message, previous));
    else this.#replace(message, previous);
    const isMine = isNew && message.author.id === this.#state.me.id;
    if (isNearEnd || isMine) this.toEnd();
  }

  /** Redraws a message in place; whatever of it had the keyboard's focus has it again. */
  #replace(message: Message, previous: Message | undefined): void {
    const old = this.#row(message.id);
    if (old === null) return;
    const active = document.activeElement;
    const hadFocus = active !== null && old.contains(active);
    const key = hadFocus && active instanceof HTMLElement ? active.dataset["focus"] : undefined;
    const isOpen = old.classList.contains("menu-open");
    const row = messageView(message, previous, this.#actions());
    if (isOpen) row.classList.add("menu-open");
    for (const [index, shown] of [...old.querySelectorAll(".spoiler")].entries()) {
      if (shown.classList.contains("shown"))
        row.querySelectorAll(".spoiler")[index]?.classList.add("shown");
    }
    old.replaceWith(row);
    if (!hadFocus) return;
    const again =
      key === undefined ? row : row.querySelector<HTMLElement>(`[data-focus="${CSS.escape(key)}"]`);
    (again ?? row).focus({ preventScroll: true });
  }

  #remove(id: string): void {
    const row = this.#row(id);
    const next = row?.nextElementSibling;
    row?.remove();
    const nextId = next instanceof HTMLElement ? next.dataset["id"] : undefined;
    const index = this.#state.messages.findIndex((each) => each.id === nextId);
    const message = this.#state.messages[index];
    if (message !== undefined) this.#replace(message, this.#state.messages[index - 1]);
  }

  #row(id: string): HTMLElement | null {
    return this.#root.querySelector<HTMLElement>(`.message[data-id="${CSS.escape(id)}"]`);
  }

  #topRow(): HTMLElement | undefined {
    const top = this.#root.getBoundingClientRect().top;
    const isScrolledUp =
      this.#root.scrollHeight - this.#root.scrollTop - this.#root.clientHeight > NEAR_END_PX;
    if (!isScrolledUp) return undefined;
    const rows = [...this.#root.querySelectorAll<HTMLElement>(".message")];
    return rows.find((row) => row.getBoundingClientRect().bottom > top);
  }

  #loadOlderAtTop(): void {
    if (this.#root.scrollTop < 80 && this.#state.hasOlder) void this.#state.loadOlder();
  }

  /** Arrow keys walk over messages; Enter opens the menu of the one that has the focus. */
  #move(event: KeyboardEvent): void {
    const row =
      event.target instanceof Element ? event.target.closest<HTMLElement>(".message") : null;
    const isOnControl =
      event.target instanceof Element && event.target.matches("button, select, a, input");
    if (event.key === "Enter" && row !== null && !isOnControl) {
      const message = this.#state.messages.find((each) => each.id === row.dataset["id"]);
      const box = row.getBoundingClientRect();
      if (message !== undefined)
        this.#actions().onMenu(message, { x: box.left + 72, y: box.top + 24 });
      event.preventDefault();
      return;
    }
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step === undefined || event.target instanceof HTMLSelectElement) return;
    const rows = [...this.#root.querySelectorAll<HTMLElement>(".message")];
    const at = row === null ? rows.length : rows.indexOf(row);
    const next = rows[at + step];
    if (next === undefined) return;
    event.preventDefault();
    next.focus();
  }
}
