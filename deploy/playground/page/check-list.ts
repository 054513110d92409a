/** A select of several things as boxes to tick: a list would take a key held down to choose a second one. */
import type { Choice } from "./component-view.ts";
import { announce, el } from "./dom.ts";

/** What can be ticked. */
export type CheckList = {
  readonly title: string;
  /** Tells this list's boxes from others', so that one keeps the focus when the message is drawn again. */
  readonly name: string;
  readonly options: readonly Choice[];
  /** How many may be ticked. */
  readonly limits: { readonly least: number; readonly most: number };
  readonly isDisabled: boolean;
};

/** Builds the list. @param onChange gets all that is ticked, whenever that changes within the limits */
export function checkList(
  { title, name, options, limits, isDisabled }: CheckList,
  onChange: (values: readonly string[]) => void,
): HTMLElement {
  const boxes = options.map(({ value, isDefault }) =>
    el("input", {
      type: "checkbox",
      value,
      checked: isDefault,
      "data-focus": `check ${name} ${value}`,
    }),
  );
  const changed = (box: HTMLInputElement) => {
    const values = boxes.filter((each) => each.checked).map((each) => each.value);
    if (values.length < limits.least || values.length > limits.most) {
      box.checked = !box.checked;
      announce(`Choose ${limits.least} to ${limits.most}`);
      return;
    }
    onChange(values);
  };
  for (const box of boxes) box.addEventListener("change", () => changed(box));
  return el(
    "fieldset",
    { class: "pick-several", disabled: isDisabled },
    el("legend", {}, title),
    ...options.map(({ label, description }, at) =>
      el(
        "label",
        {},
        boxes[at] ?? null,
        label,
        description === "" ? null : el("small", {}, description),
      ),
    ),
  );
}
