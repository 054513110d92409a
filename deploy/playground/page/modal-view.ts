/** Forms of the application as dialogs. */
import { asComponent, childrenOf, type Entities, selectOptions } from "./component-view.ts";
import { el } from "./dom.ts";
import { openDialog } from "./overlay.ts";
import type { Modal } from "./types.ts";

type FormValues = Record<string, string | readonly string[]>;
type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;
/** By custom id: where a value is given, and what it is called. */
type Fields = Map<string, { readonly control: Control; readonly label: string }>;

const PARAGRAPH = 2;
const TEXT_INPUT = 4;
const TEXT = 10;

/** What becomes of the form. `submit` rejects with what is wrong, which is shown in the form. */
export type ModalHost = {
  readonly submit: (values: FormValues) => Promise<void>;
  readonly cancel: () => void;
  readonly render: (content: string) => DocumentFragment;
  readonly entities: Entities;
};

/** Shows a form until it is sent or cancelled. */
export function openModal(modal: Modal, host: ModalHost): void {
  const controls: Fields = new Map();
  const error = el("p", { class: "form-error", role: "alert" });
  const fields = modal.components.map((each) => fieldView(each, controls, host));
  const form = el(
    "form",
    { class: "modal-form", novalidate: true },
    ...fields,
    error,
    el(
      "div",
      { class: "modal-actions" },
      el("button", { type: "button", class: "press secondary", onclick: () => leave() }, "Cancel"),
      el("button", { type: "submit", class: "press primary" }, "Submit"),
    ),
  );
  const close = openDialog(modal.title, form, () => host.cancel());
  const leave = () => {
    host.cancel();
    close();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const missing = firstMissing(controls);
    error.textContent = missing === undefined ? "" : `“${missing.label}” is needed.`;
    missing?.control.focus();
    if (missing !== undefined) return;
    host.submit(readValues(controls)).then(close, (refused: Error) => {
      error.textContent = refused.message;
    });
  });
  form.querySelector<HTMLElement>("input, textarea, select")?.focus();
}

function fieldView(
  component: Readonly<Record<string, unknown>>,
  controls: Fields,
  host: ModalHost,
): HTMLElement {
  if (component["type"] === TEXT)
    return el("div", { class: "content" }, host.render(String(component["content"] ?? "")));
  const inner =
    component["component"] === undefined
      ? childrenOf(component)[0]
      : asComponent(component["component"]);
  const field = inner ?? {};
  const control = controlView(field, host);
  const label = String(component["label"] ?? field["label"] ?? "");
  const isNeeded = field["required"] !== false;
  control.required = isNeeded;
  controls.set(String(field["custom_id"]), { control, label });
  const description = component["description"];
  return el(
    "label",
    { class: "field-label" },
    el(
      "span",
      {},
      label,
      isNeeded
        ? el("span", { class: "needed", title: "Needed", "aria-hidden": "true" }, " *")
        : null,
    ),
    typeof description === "string" ? el("small", {}, description) : null,
    control,
  );
}

function controlView(field: Readonly<Record<string, unknown>>, host: ModalHost): Control {
  if (field["type"] !== TEXT_INPUT) return selectControl(field, host);
  const shared = {
    placeholder: String(field["placeholder"] ?? ""),
    maxlength: Number(field["max_length"] ?? 4_000),
  };
  const control =
    field["style"] === PARAGRAPH
      ? el("textarea", { ...shared, rows: "4" })
      : el("input", { ...shared, type: "text" });
  control.value = String(field["value"] ?? "");
  return control;
}

function selectControl(
  field: Readonly<Record<string, unknown>>,
  host: ModalHost,
): HTMLSelectElement {
  const isMany = Number(field["max_values"] ?? 1) > 1;
  return el(
    "select",
    { multiple: isMany },
    isMany ? null : el("option", { value: "" }, String(field["placeholder"] ?? "choose…")),
    ...selectOptions(field, host.entities).map((each) =>
      el("option", { value: each.value, selected: each.isDefault }, each.label),
    ),
  );
}

/** The first field that must have a value and has none; from then on it is marked until it has one. */
function firstMissing(controls: Fields): { control: Control; label: string } | undefined {
  const fields = [...controls.values()];
  for (const { control } of fields) {
    control.setAttribute("aria-invalid", String(!control.checkValidity()));
  }
  return fields.find(({ control }) => control.validity.valueMissing);
}

function readValues(controls: Fields): FormValues {
  const values: FormValues = {};
  for (const [customId, { control }] of controls) {
    values[customId] =
      control instanceof HTMLSelectElement
        ? [...control.selectedOptions].map((each) => each.value).filter((value) => value !== "")
        : control.value;
  }
  return values;
}
