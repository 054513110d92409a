/** Small words for making elements. Text always goes in as text, never as HTML. */

type Child = Node | string | null | undefined | false;
type Properties = Readonly<Record<string, string | number | boolean | EventListener | undefined>>;

/**
 * Makes an element. A property that is a function listens (`onclick`), a boolean sets or leaves out
 * the attribute, everything else becomes an attribute.
 */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(
    ...children.filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** The element of index.html with this id. @throws when the page lacks it */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no element with id ${id}.`);
  return found;
}

/** Tells something to people who use a screen reader, and shows it for a moment to everyone. */
export function announce(text: string): void {
  const place = byId("announce");
  place.textContent = text;
  place.classList.add("shown");
  setTimeout(() => {
    if (place.textContent === text) place.classList.remove("shown");
  }, 4_000);
}

/** A colour's class for a name, the same every time. */
export function colourOf(id: string): string {
  let sum = 0;
  for (const digit of id) sum = (sum * 31 + digit.charCodeAt(0)) % 9_973;
  return `hue-${sum % 8}`;
}

/** Initials in a coloured disc. */
export function avatar(person: {
  readonly id: string;
  readonly name: string;
  readonly bot?: boolean;
}): HTMLElement {
  const initials = person.name.slice(0, 2);
  return el(
    "span",
    {
      class: `avatar ${person.bot === true ? "avatar-bot" : colourOf(person.id)}`,
      "aria-hidden": "true",
    },
    initials,
  );
}
