/** Embeds as elements. */
import type { APIEmbed } from "discord-api-types/v10";
import { el } from "./dom.ts";

/** One card for each embed. @param render Markdown to elements */
export function embedViews(
  embeds: readonly APIEmbed[],
  render: (text: string) => DocumentFragment,
): HTMLElement[] {
  return embeds.map((embed) => {
    const card = el(
      "section",
      { class: "embed" },
      embed.author === undefined ? null : el("p", { class: "embed-author" }, embed.author.name),
      embed.title === undefined ? null : titleView(embed),
      embed.description === undefined
        ? null
        : el("div", { class: "content" }, render(embed.description)),
      fieldsView(embed, render),
      embed.footer === undefined ? null : el("footer", {}, embed.footer.text),
    );
    if (embed.color !== undefined)
      card.style.borderLeftColor = `#${embed.color.toString(16).padStart(6, "0")}`;
    return card;
  });
}

function titleView(embed: APIEmbed): HTMLElement {
  const isLink = embed.url !== undefined && /^https?:\/\//i.test(embed.url);
  const title = embed.title ?? "";
  if (!isLink) return el("h3", {}, title);
  return el(
    "h3",
    {},
    el("a", { href: embed.url, target: "_blank", rel: "noopener noreferrer nofollow" }, title),
  );
}

function fieldsView(
  embed: APIEmbed,
  render: (text: string) => DocumentFragment,
): HTMLElement | null {
  const fields = embed.fields ?? [];
  if (fields.length === 0) return null;
  return el(
    "dl",
    { class: "fields" },
    ...fields.map((field) =>
      el(
        "div",
        { class: field.inline === true ? "field inline" : "field" },
        el("dt", {}, field.name),
        el("dd", {}, render(field.value)),
      ),
    ),
  );
}
