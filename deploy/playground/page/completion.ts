/** The list above the composer: what can be completed, walked by arrow keys. Knows nothing of commands. */
import { el } from "./dom.ts";

/** One thing to choose. */
export type Completion = {
  readonly label: string;
  readonly hint: string;
  readonly detail: string;
  readonly choose: () => void;
};

/** A listbox that belongs to a text field. */
export class CompletionList {
  readonly element = el("ul", {
    class: "completions",
    id: "completions",
    role: "listbox",
    "aria-label": "Suggestions",
    hidden: true,
  });
  readonly #field: HTMLElement;
  #items: readonly Completion[] = [];
  #at = 0;

  /** @param field has the role combobox */
  constructor(field: HTMLElement) {
    this.#field = field;
  }

  get isOpen(): boolean {
    return this.#items.length > 0;
  }

  /** Shows these; none closes the list. */
  show(title: string, items: readonly Completion[]): void {
    this.#items = items;
    this.#at = Math.min(this.#at, Math.max(0, items.length - 1));
    this.element.hidden = items.length === 0;
    this.#field.setAttribute("aria-expanded", String(this.isOpen));
    const rows = items.map((item, index) =>
      el(
        "li",
        {
          role: "option",
          id: `completion-${index}`,
          onclick: () => item.choose(),
          // The field keeps the focus.
          onmousedown: (event: Event) => event.preventDefault(),
        },
        el(
          "span",
          { class: "completion-label" },
          item.label,
          item.hint === "" ? null : el("span", { class: "completion-hint" }, item.hint),
        ),
        el("span", { class: "completion-detail" }, item.detail),
      ),
    );
    this.element.replaceChildren(
      el("li", { class: "completion-title", role: "presentation" }, title),
      ...rows,
    );
    this.#mark();
  }

  close(): void {
    this.#at = 0;
    this.show("", []);
  }

  /** @returns whether the key was the list's */
  handle(event: KeyboardEvent): boolean {
    if (!this.isOpen) return false;
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step !== undefined) {
      this.#at = (this.#at + step + this.#items.length) % this.#items.length;
      this.#mark();
    } else if (event.key === "Tab" || event.key === "Enter") this.#items[this.#at]?.choose();
    else if (event.key === "Escape") this.close();
    else return false;
    event.preventDefault();
    return true;
  }

  #mark(): void {
    const rows = this.element.querySelectorAll('[role="option"]');
    for (const [index, row] of rows.entries())
      row.setAttribute("aria-selected", String(index === this.#at));
    rows[this.#at]?.scrollIntoView({ block: "nearest" });
    if (this.isOpen) this.#field.setAttribute("aria-activedescendant", `completion-${this.#at}`);
    else this.#field.removeAttribute("aria-activedescendant");
  }
}
