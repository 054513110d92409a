/** Discord's Markdown as elements. HTML in messages is text: markdown-it runs with html off. */

import MarkdownIt, { type MarkdownIt as Markdown } from "markdown-it/browser";
import { drawEmojis } from "./emoji-view.ts";
import { timestampText } from "./timestamps.ts";

/** Names for ids in mentions. */
export type MentionNames = {
  readonly user: (id: string) => string | undefined;
  readonly channel: (id: string) => string | undefined;
  readonly role: (id: string) => string | undefined;
};

type Renderer = (content: string) => DocumentFragment;

/** Makes a renderer whose mentions show names. */
export function createMarkdown(names: MentionNames): Renderer {
  const markdown = new MarkdownIt({ html: false, linkify: true, breaks: true, typographer: false });
  markdown.disable(
    ["image", "table", "reference", "html_block", "html_inline", "lheading", "hr"],
    true,
  );
  markdown.validateLink = (url) => /^https?:\/\//i.test(url);
  addMentions(markdown, names);
  addTimestamps(markdown);
  addSpoilers(markdown);
  markdown.renderer.rules["link_open"] = (tokens, index, options, _env, self) => {
    tokens[index]?.attrSet("target", "_blank");
    tokens[index]?.attrSet("rel", "noopener noreferrer nofollow");
    return self.renderToken(tokens, index, options);
  };
  // Discord underlines with two underscores.
  markdown.renderer.rules["strong_open"] = (tokens, index) =>
    tokens[index]?.markup === "__" ? "<u>" : "<strong>";
  markdown.renderer.rules["strong_close"] = (tokens, index) =>
    tokens[index]?.markup === "__" ? "</u>" : "</strong>";
  return (content) => {
    const template = document.createElement("template");
    template.innerHTML = renderWithSubtext(markdown, content);
    for (const heading of template.content.querySelectorAll("h4, h5, h6"))
      heading.replaceWith(...heading.childNodes);
    drawEmojis(template.content);
    return template.content;
  };
}

/** `-# small print` is a line of its own; inside a code fence it is just text. */
function renderWithSubtext(markdown: Markdown, content: string): string {
  const parts: string[] = [];
  let plain: string[] = [];
  let fence: string | undefined;
  const flush = () => {
    if (plain.length > 0) parts.push(markdown.render(plain.join("\n")));
    plain = [];
  };
  for (const line of content.split("\n")) {
    fence = fenceAfter(line, fence);
    const small = fence === undefined ? /^-# (.+)$/.exec(line)?.[1] : undefined;
    if (small !== undefined) {
      flush();
      parts.push(`<p class="subtext">${markdown.renderInline(small)}</p>`);
      continue;
    }
    if (fence === undefined && endsBlock(plain.at(-1), line)) plain.push("");
    plain.push(line);
  }
  flush();
  return parts.join("");
}

/** The mark of the code fence that is open after a line, if any. */
function fenceAfter(line: string, open: string | undefined): string | undefined {
  const mark = /^\s{0,3}(```+|~~~+)/.exec(line)?.[1];
  if (mark === undefined) return open;
  if (open === undefined) return mark;
  return line.trim().startsWith(open) ? undefined : open;
}

/** A line of plain text ends a list or a quote on Discord; Markdown would let it run on. */
function endsBlock(previous: string | undefined, line: string): boolean {
  const inBlock = /^\s*([-*+]|\d+[.)]|>)\s/;
  return (
    previous !== undefined && inBlock.test(previous) && /^\S/.test(line) && !inBlock.test(line)
  );
}

function addMentions(markdown: Markdown, names: MentionNames): void {
  markdown.inline.ruler.before("autolink", "mention", (state, isSilent) => {
    const match = /^<(@[!&]?|#)(\d{1,20})>/.exec(state.src.slice(state.pos, state.pos + 26));
    if (match === null) return false;
    const [whole, sign = "", id = ""] = match;
    if (!isSilent) {
      const token = state.push("mention", "", 0);
      const kind = sign === "#" ? "channel" : sign === "@&" ? "role" : "user";
      token.content = `${sign.charAt(0)}${names[kind](id) ?? "unknown"}`;
    }
    state.pos += whole.length;
    return true;
  });
  markdown.renderer.rules["mention"] = (tokens, index) =>
    `<span class="mention">${markdown.utils.escapeHtml(tokens[index]?.content ?? "")}</span>`;
}

/** `<t:1700000000:R>` */
function addTimestamps(markdown: Markdown): void {
  markdown.inline.ruler.before("autolink", "timestamp", (state, isSilent) => {
    const match = /^<t:(\d{1,12})(?::([tTdDfFR]))?>/.exec(
      state.src.slice(state.pos, state.pos + 20),
    );
    if (match === null) return false;
    const [whole, seconds = "0", style = "f"] = match;
    if (!isSilent) {
      const token = state.push("timestamp", "", 0);
      token.content = timestampText(Number(seconds), style, Date.now());
      token.info = new Date(Number(seconds) * 1_000).toISOString();
    }
    state.pos += whole.length;
    return true;
  });
  markdown.renderer.rules["timestamp"] = (tokens, index) => {
    const { content = "", info = "" } = tokens[index] ?? {};
    return `<time datetime="${info}">${markdown.utils.escapeHtml(content)}</time>`;
  };
}

/** `||hidden until clicked||` */
function addSpoilers(markdown: Markdown): void {
  markdown.inline.ruler.before("emphasis", "spoiler", (state, isSilent) => {
    if (!state.src.startsWith("||", state.pos)) return false;
    const end = state.src.indexOf("||", state.pos + 2);
    if (end <= state.pos + 2) return false;
    if (!isSilent) {
      const token = state.push("spoiler", "", 0);
      token.content = state.src.slice(state.pos + 2, end);
    }
    state.pos = end + 2;
    return true;
  });
  // The text rule stops only at its own list of characters, to which the bar has to be added.
  markdown.inline.ruler.at("text", (state, isSilent) => {
    const rest = state.src.slice(state.pos);
    const length = rest.search(/[\n!#$%&*+\-:<=>@[\\\]^_`{}~|]/);
    const taken = length < 0 ? rest.length : length;
    if (taken === 0) return false;
    if (!isSilent) state.pending += rest.slice(0, taken);
    state.pos += taken;
    return true;
  });
  markdown.renderer.rules["spoiler"] = (tokens, index) =>
    `<button type="button" class="spoiler" aria-label="Hidden text: press to show"><span>${markdown.utils.escapeHtml(tokens[index]?.content ?? "")}</span></button>`;
}
