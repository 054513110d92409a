/** Buttons, selects and layouts of a message as elements. */
import { checkList } from "./check-list.ts";
import { el } from "./dom.ts";
import { emojiView } from "./emoji-view.ts";
import type { MessageActions } from "./message-view.ts";
import type { Message, Named } from "./types.ts";

type Component = Readonly<Record<string, unknown>>;

/** Discord's component types: https://discord.com/developers/docs/components/reference */
const ROW = 1;
const BUTTON = 2;
const STRING_SELECT = 3;
const USER_SELECT = 5;
const ROLE_SELECT = 6;
const MENTIONABLE_SELECT = 7;
const CHANNEL_SELECT = 8;
const SECTION = 9;
const TEXT = 10;
const SEPARATOR = 14;
const CONTAINER = 17;
const STYLES = ["", "primary", "secondary", "success", "danger", "link", "primary"];

/** Everything in the message's `components`. */
export function componentViews(message: Message, actions: MessageActions): HTMLElement[] {
  return (message.components ?? []).flatMap(
    (each: unknown) => view(asComponent(each), message, actions) ?? [],
  );
}

/** A value as a component's record; anything else counts as an empty one. */
export function asComponent(value: unknown): Component {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** The components within a component. */
export function childrenOf(component: Component): Component[] {
  const children = component["components"];
  return Array.isArray(children) ? children.map(asComponent) : [];
}

/** What each kind of select offers that takes people, roles or channels. */
export type Entities = (type: number) => readonly Named[];

/** Something that a select offers. */
export type Choice = {
  readonly label: string;
  readonly value: string;
  readonly description: string;
  readonly isDefault: boolean;
};

/** The options of a select of any kind. */
export function selectOptions(component: Component, entities: Entities): Choice[] {
  const options: unknown = component["options"];
  if (!Array.isArray(options)) return entityOptions(component, entities);
  return options.map(asComponent).map((each) => ({
    label: String(each["label"] ?? ""),
    value: String(each["value"] ?? ""),
    description: String(each["description"] ?? ""),
    isDefault: each["default"] === true,
  }));
}

function entityOptions(component: Component, entities: Entities) {
  const given = component["default_values"];
  const chosen = Array.isArray(given) ? given.map((each) => asComponent(each)["id"]) : [];
  const type = Number(component["type"]);
  return entities(type).map(({ id, name }) => ({
    label: type === CHANNEL_SELECT ? `#${name}` : name,
    value: id,
    description: "",
    isDefault: chosen.includes(id),
  }));
}

function view(
  component: Component,
  message: Message,
  actions: MessageActions,
): HTMLElement | undefined {
  const inner = () => childrenOf(component).flatMap((each) => view(each, message, actions) ?? []);
  switch (component["type"]) {
    case ROW:
      return el("div", { class: "component-row" }, ...inner());
    case BUTTON:
      return buttonView(component, message, actions);
    case STRING_SELECT:
    case USER_SELECT:
    case ROLE_SELECT:
    case MENTIONABLE_SELECT:
    case CHANNEL_SELECT:
      return selectView(component, message, actions);
    case TEXT:
      return el("div", { class: "content" }, actions.render(String(component["content"] ?? "")));
    case SEPARATOR:
      return component["divider"] === false ? el("div", { class: "space" }) : el("hr");
    case SECTION: {
      const accessory = view(asComponent(component["accessory"]), message, actions);
      return el("div", { class: "section" }, el("div", {}, ...inner()), accessory);
    }
    case CONTAINER:
      return el("section", { class: "embed" }, ...inner());
    default:
      return undefined;
  }
}

function buttonView(component: Component, message: Message, actions: MessageActions): HTMLElement {
  const style = STYLES[Number(component["style"])] ?? "secondary";
  const emoji = asComponent(component["emoji"])["name"];
  const label = [emoji, component["label"]].filter((part) => typeof part === "string").join(" ");
  if (style === "link") {
    const url = String(component["url"] ?? "");
    const href = /^https?:\/\//i.test(url) ? url : undefined;
    return el(
      "a",
      { class: "press link-button", href, target: "_blank", rel: "noopener noreferrer nofollow" },
      label,
      " ↗",
    );
  }
  const customId = String(component["custom_id"]);
  const button = el(
    "button",
    {
      type: "button",
      class: `press ${style}`,
      disabled: component["disabled"] === true,
      "aria-label": label,
      "data-focus": `press ${customId}`,
    },
    typeof emoji === "string" ? emojiView(emoji) : null,
    [typeof emoji === "string" ? " " : "", component["label"] ?? ""].join(""),
  );
  button.addEventListener("click", () => {
    // Not `disabled`, which would take the keyboard's focus away.
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true";
    void actions.onComponent(message, customId).finally(() => {
      button.ariaDisabled = null;
    });
  });
  return button;
}

function selectView(component: Component, message: Message, actions: MessageActions): HTMLElement {
  const most = Number(component["max_values"] ?? 1);
  const placeholder = String(component["placeholder"] ?? "Make a selection");
  const options = selectOptions(component, actions.entities);
  const standing = options.find((each) => each.isDefault)?.label;
  const isOptional = component["min_values"] === 0;
  const customId = String(component["custom_id"]);
  const isDisabled = component["disabled"] === true;
  const choose = (values: readonly string[]) => void actions.onComponent(message, customId, values);
  if (most > 1) {
    const limits = { least: Number(component["min_values"] ?? 1), most };
    return checkList({ title: placeholder, name: customId, options, limits, isDisabled }, choose);
  }
  const select = el(
    "select",
    {
      class: "pick",
      "aria-label": String(component["placeholder"] ?? standing ?? placeholder),
      disabled: isDisabled,
      "data-focus": `select ${customId}`,
    },
    el(
      "option",
      { value: "", disabled: !isOptional, selected: !options.some((each) => each.isDefault) },
      placeholder,
    ),
    ...options.map((each) =>
      el(
        "option",
        { value: each.value, selected: each.isDefault },
        each.description === "" ? each.label : `${each.label} — ${each.description}`,
      ),
    ),
  );
  select.addEventListener("change", () => choose(select.value === "" ? [] : [select.value]));
  return select;
}
