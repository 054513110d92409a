/**
 * Emojis as pictures. The few that the page offers are drawn here, because not every machine has a
 * font with them; any other is shown by whatever font there is.
 */
import { el } from "./dom.ts";

const SVG = "http://www.w3.org/2000/svg";
const SKIN = "#f6c64f";
const DARK = "#3b2b10";

type Shape = readonly [
  tag: "path" | "circle" | "ellipse",
  attributes: Readonly<Record<string, string>>,
];

const THUMB: Shape = [
  "path",
  {
    d: "M7 11v9H3.6A1.6 1.6 0 0 1 2 18.4v-5.8A1.6 1.6 0 0 1 3.6 11H7Zm1.6 0 3.2-7.6c.3-.7 1-1.2 1.8-1 1.6.3 2.2 1.8 1.8 3.3L14.6 9h5a2.4 2.4 0 0 1 2.3 3l-1.5 6.2a2.4 2.4 0 0 1-2.3 1.8H8.6V11Z",
    fill: SKIN,
  },
];
const FACE: Shape = ["circle", { cx: "12", cy: "12", r: "10", fill: SKIN }];
const eyes = (y: string): Shape[] => [
  ["circle", { cx: "8.4", cy: y, r: "1.5", fill: DARK }],
  ["circle", { cx: "15.6", cy: y, r: "1.5", fill: DARK }],
];
const line = (d: string): Shape => [
  "path",
  { d, fill: "none", stroke: DARK, "stroke-width": "1.7", "stroke-linecap": "round" },
];

const DRAWINGS: Readonly<Record<string, readonly Shape[]>> = {
  "👍": [THUMB],
  "👎": [["path", { ...THUMB[1], transform: "rotate(180 12 12)" }]],
  "❤️": [
    [
      "path",
      {
        d: "M12 21C4.6 15.6 2 12.3 2 8.7 2 5.6 4.4 3.4 7.2 3.4c2 0 3.7 1 4.8 2.8 1.1-1.8 2.8-2.8 4.8-2.8 2.8 0 5.2 2.2 5.2 5.3 0 3.6-2.6 6.9-10 12.300Z",
        fill: "#ef5b6c",
      },
    ],
  ],
  "😄": [
    FACE,
    ...eyes("9.4"),
    ["path", { d: "M6.6 13.400h10.800c0 3.3-2.3 5.6-5.4 5.600s-5.4-2.3-5.4-5.600Z", fill: DARK }],
  ],
  "😮": [
    FACE,
    ...eyes("9.4"),
    ["ellipse", { cx: "12", cy: "16.3", rx: "2.4", ry: "3", fill: DARK }],
  ],
  "😢": [
    FACE,
    ...eyes("10"),
    line("M8.6 17.400c1.8-2 5-2 6.8 0"),
    [
      "path",
      {
        d: "M6.2 12.500c1.5 2 1.9 3 1.9 3.900a1.9 1.9 0 0 1-3.8 0c0-.9.4-1.9 1.9-3.900Z",
        fill: "#5aa9e6",
      },
    ],
  ],
  "🤔": [
    FACE,
    ...eyes("10"),
    line("M13.8 6.400c1.2-.9 2.5-.9 3.6-.2"),
    line("M9 16.200c1.8-.9 3.8-.9 5.6-.2"),
  ],
  "🎉": [
    ["path", { d: "m3 21 5-12 7 7-12 5Z", fill: SKIN }],
    [
      "path",
      {
        d: "M14 10c2-3 1-5 0-7M16 12c3-1 5 0 6 1M13 8l-1-3M19 8l2-3M18 3h.010M21 17h.010",
        fill: "none",
        stroke: "#63d2c6",
        "stroke-width": "2",
        "stroke-linecap": "round",
      },
    ],
  ],
  "👀": [
    ["ellipse", { cx: "7", cy: "12", rx: "4.6", ry: "6.6", fill: "#f4f7f8" }],
    ["ellipse", { cx: "17", cy: "12", rx: "4.6", ry: "6.6", fill: "#f4f7f8" }],
    ["circle", { cx: "8.4", cy: "13.2", r: "2.3", fill: "#222b2f" }],
    ["circle", { cx: "18.4", cy: "13.2", r: "2.3", fill: "#222b2f" }],
  ],
  "🔥": [
    [
      "path",
      {
        d: "M12.5 2c.6 3.6 5.9 6 5.9 12.300a6.9 6.9 0 0 1-6.9 7.200A6.8 6.8 0 0 1 4.6 14.600c0-3.4 2-5.2 3.2-7.2.9 1 1.3 2 1.4 3.200C11 8.6 12.2 5.6 12.5 2Z",
        fill: "#f08c3a",
      },
    ],
    [
      "path",
      {
        d: "M12 12.500c.3 1.7 2.9 2.7 2.9 5.300A2.9 2.9 0 0 1 12 20.700a2.9 2.9 0 0 1-2.9-2.900c0-2 2.3-2.9 2.9-5.300Z",
        fill: SKIN,
      },
    ],
  ],
  "💡": [
    [
      "path",
      {
        d: "M12 2a7 7 0 0 1 4.3 12.5c-.8.7-1.3 1.5-1.3 2.5H9c0-1-.5-1.8-1.3-2.5A7 7 0 0 1 12 2Z",
        fill: SKIN,
      },
    ],
    ["path", { d: "M9 18.5h6v1.5a2 2 0 0 1-2 2h-2a2 2 0 0 1-2-2v-1.5Z", fill: "#a3b4ba" }],
  ],
  "⬜": [
    [
      "path",
      {
        d: "M5 2h14a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H5a3 3 0 0 1-3-3V5a3 3 0 0 1 3-3Z",
        fill: "#d5dbe0",
      },
    ],
  ],
  "✅": [
    [
      "path",
      {
        d: "M5 2h14a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H5a3 3 0 0 1-3-3V5a3 3 0 0 1 3-3Z",
        fill: "#3f9d5c",
      },
    ],
    [
      "path",
      {
        d: "m7 12.5 3.6 3.600L17.4 8.4",
        fill: "none",
        stroke: "#fff",
        "stroke-width": "2.6",
        "stroke-linecap": "round",
        "stroke-linejoin": "round",
      },
    ],
  ],
};

const stroke = (d: string): Shape => [
  "path",
  {
    d,
    fill: "none",
    stroke: "currentColor",
    "stroke-width": "2.4",
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
  },
];

/** Those that stand on the bot's buttons; nobody reacts with them. */
const SYMBOLS: Readonly<Record<string, readonly Shape[]>> = {
  "🔄": [
    stroke("M20 11a8 8 0 0 0-14.300-4M4 13a8 8 0 0 0 14.300 4"),
    stroke("M5 2.500v5h5M19 21.500v-5h-5"),
  ],
  "▶️": [["path", { d: "M6 3.500v17l14-8.500Z", fill: "currentColor" }]],
  "⏹️": [["path", { d: "M5 5h14v14H5Z", fill: "currentColor" }]],
};

/** Those that the picker offers. */
export const PICKABLE_EMOJIS: readonly string[] = Object.keys(DRAWINGS);

/** An emoji as an element; its name is to be told by what it stands in. */
export function emojiView(emoji: string): HTMLElement {
  const shapes = DRAWINGS[emoji] ?? SYMBOLS[emoji];
  const box = el("span", { class: "emoji", "aria-hidden": "true" });
  if (shapes === undefined) {
    box.textContent = emoji;
    return box;
  }
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", "0 0 24 24");
  for (const [tag, attributes] of shapes) {
    const shape = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, value);
    picture.append(shape);
  }
  box.append(picture);
  return box;
}

/** Puts the drawn emojis in place of their characters in running text; code is left as it is. */
export function drawEmojis(root: DocumentFragment): void {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const texts: Text[] = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const isCode = node.parentElement?.closest("code") !== null && node.parentElement !== null;
    if (node instanceof Text && !isCode) texts.push(node);
  }
  for (const text of texts) {
    const parts = text.data.split(DRAWN);
    if (parts.length > 1) text.replaceWith(...parts.map(inlinePart));
  }
}

const DRAWN = new RegExp(`(${PICKABLE_EMOJIS.join("|")})`, "u");

function inlinePart(part: string): Node {
  if (DRAWINGS[part] === undefined) return document.createTextNode(part);
  const view = emojiView(part);
  view.removeAttribute("aria-hidden");
  view.setAttribute("role", "img");
  view.setAttribute("aria-label", part);
  return view;
}
