/** Things that lie over the page: one menu or picker at a time, and dialogs. */
import { byId, el } from "./dom.ts";
import { emojiView } from "./emoji-view.ts";

/** One entry of a menu; a heading has no action. */
export type MenuItem = {
  readonly label: string;
  readonly act?: () => void;
  readonly isDanger?: boolean;
};

let closeOpen: (() => void) | undefined;

/** Opens a menu at a point; arrow keys, Enter and Escape work. @param onClose when it is gone */
export function openMenu(
  at: { x: number; y: number },
  items: readonly MenuItem[],
  onClose?: () => void,
): void {
  const entries = items.map((item) =>
    item.act === undefined
      ? el("li", { class: "menu-heading", role: "presentation" }, item.label)
      : el(
          "li",
          { role: "none" },
          el(
            "button",
            {
              type: "button",
              role: "menuitem",
              class: item.isDanger === true ? "danger" : "",
              onclick: () => choose(item),
            },
            item.label,
          ),
        ),
  );
  const menu = el("ul", { class: "menu", role: "menu", "aria-label": "Message" }, ...entries);
  const choose = (item: MenuItem) => {
    close();
    item.act?.();
  };
  const close = popUp(menu, at, onClose);
  walkWithArrows(menu, "button", ["ArrowUp", "ArrowDown"]);
  menu.querySelector("button")?.focus();
}

/** Opens a small grid of emojis by an element. */
export function openEmojiPicker(
  anchor: HTMLElement,
  emojis: readonly string[],
  onPick: (emoji: string) => void,
): void {
  const box = anchor.getBoundingClientRect();
  const picker = el(
    "div",
    { class: "emoji-picker", role: "menu", "aria-label": "Choose an emoji" },
    ...emojis.map((emoji) =>
      el(
        "button",
        {
          type: "button",
          role: "menuitem",
          "aria-label": emoji,
          onclick: () => {
            close();
            onPick(emoji);
          },
        },
        emojiView(emoji),
      ),
    ),
  );
  const close = popUp(picker, { x: box.left, y: box.bottom + 6 });
  walkWithArrows(picker, "button", ["ArrowLeft", "ArrowRight"]);
  picker.querySelector("button")?.focus();
}

/**
 * Opens a dialog that holds the keyboard's focus until it is closed.
 * @returns a function that closes it
 */
export function openDialog(title: string, content: HTMLElement, onCancel: () => void): () => void {
  closeOpen?.();
  const dialog = el(
    "dialog",
    { class: "dialog", "aria-label": title },
    el("h2", {}, title),
    content,
  );
  const before = document.activeElement;
  dialog.addEventListener("cancel", () => onCancel());
  dialog.addEventListener("close", () => {
    dialog.remove();
    // What opened it may have been drawn anew meanwhile; then writing is the nearest place.
    const isThere = before instanceof HTMLElement && before !== document.body && before.isConnected;
    (isThere ? before : byId("composer-input")).focus();
  });
  byId("overlays").append(dialog);
  dialog.showModal();
  return () => dialog.close();
}

/** Shows an element at a point, within the window, until Escape or a press elsewhere. */
function popUp(
  element: HTMLElement,
  at: { x: number; y: number },
  onClose?: () => void,
): () => void {
  closeOpen?.();
  const before = document.activeElement;
  byId("overlays").append(element);
  const { width, height } = element.getBoundingClientRect();
  element.style.left = `${Math.max(8, Math.min(at.x, window.innerWidth - width - 8))}px`;
  const isBelow = at.y + height + 8 <= window.innerHeight;
  element.style.top = `${Math.max(8, isBelow ? at.y : window.innerHeight - height - 8)}px`;
  const onPointer = (event: Event) => {
    if (event.target instanceof Node && !element.contains(event.target)) close();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== "Escape" && event.key !== "Tab") return;
    event.preventDefault();
    close();
  };
  const close = () => {
    if (closeOpen !== close) return;
    closeOpen = undefined;
    document.removeEventListener("pointerdown", onPointer, true);
    element.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    onClose?.();
  };
  closeOpen = close;
  document.addEventListener("pointerdown", onPointer, true);
  element.addEventListener("keydown", onKey);
  return close;
}

function walkWithArrows(
  root: HTMLElement,
  selector: string,
  [back, forth]: readonly [string, string],
): void {
  root.addEventListener("keydown", (event) => {
    const step = event.key === back ? -1 : event.key === forth ? 1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const all = [...root.querySelectorAll<HTMLElement>(selector)];
    const active = document.activeElement;
    const at = active instanceof HTMLElement ? all.indexOf(active) : -1;
    all[(at + step + all.length) % all.length]?.focus();
  });
}
