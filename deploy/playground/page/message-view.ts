/** One message as elements: avatar, author, text, embeds, components, reactions, thread. */
import { componentViews } from "./component-view.ts";
import { avatar, el } from "./dom.ts";
import { embedViews } from "./embed-view.ts";
import { emojiView } from "./emoji-view.ts";
import type { Message, Named } from "./types.ts";

/** Bits of Discord's message flags. */
const EPHEMERAL = 64;
const LOADING = 128;
/** Life of an interaction: a deferred answer that was not filled by then never will be. */
const TOKEN_LIFE_MS = 15 * 60_000;
/** Discord's message types: https://discord.com/developers/docs/resources/message#message-object-message-types */
const THREAD_CREATED = 18;
const THREAD_STARTER = 21;
/** Messages of one author within this time stand together. */
const GROUP_MS = 7 * 60_000;

/** What a message's parts ask of the page. */
export type MessageActions = {
  /** What selects of people, roles and channels offer. */
  readonly entities: (type: number) => readonly Named[];
  readonly myId: string;
  /** Names of a person's roles, the highest first. */
  readonly rolesOf: (personId: string) => readonly string[];
  readonly render: (content: string) => DocumentFragment;
  readonly onMenu: (message: Message, at: { x: number; y: number }) => void;
  readonly onReply: (message: Message) => void;
  readonly onReact: (message: Message, emoji: string) => void;
  readonly onPickEmoji: (message: Message, anchor: HTMLElement) => void;
  readonly onComponent: (
    message: Message,
    customId: string,
    values?: readonly string[],
  ) => Promise<void>;
  readonly onThread: (threadId: string) => void;
  readonly onJump: (messageId: string) => void;
  readonly onDismiss: (message: Message) => void;
};

/** Builds a message. @param previous the one above it, for grouping */
export function messageView(
  message: Message,
  previous: Message | undefined,
  actions: MessageActions,
): HTMLElement {
  if (message.type === THREAD_CREATED) return threadNotice(message, actions);
  const shown =
    message.type === THREAD_STARTER && message.referenced_message ? starterOf(message) : message;
  const isGrouped = belongsTo(shown, previous);
  const isEphemeral = (message.flags ?? 0) & EPHEMERAL;
  const mentionsMe =
    shown.mentions.some((user) => user.id === actions.myId) && shown.author.id !== actions.myId;
  const row = el(
    "article",
    {
      class: [
        "message",
        isGrouped && "grouped",
        isEphemeral && "ephemeral",
        mentionsMe && "mentions-me",
      ]
        .filter(Boolean)
        .join(" "),
      "data-id": message.id,
      tabindex: "-1",
      "aria-label": `${nameOf(shown)}, ${clockTime(shown.timestamp)}`,
    },
    originView(shown, actions),
    el(
      "div",
      { class: "line" },
      isGrouped
        ? el("time", { class: "aside", datetime: shown.timestamp }, clockTime(shown.timestamp))
        : authorAvatar(shown),
      el(
        "div",
        { class: "body" },
        isGrouped ? null : headView(shown, actions),
        contentView(shown, actions),
        ...embedViews(shown.embeds, actions.render),
        ...attachmentViews(shown),
        ...componentViews(shown, actions),
        isEphemeral ? ephemeralNote(message, actions) : null,
        reactionsView(shown, actions),
        threadChip(shown, actions),
      ),
    ),
    toolbar(message, actions),
  );
  row.addEventListener("contextmenu", (event) => {
    if (window.getSelection()?.isCollapsed === false || event.target instanceof HTMLAnchorElement)
      return;
    event.preventDefault();
    actions.onMenu(message, { x: event.clientX, y: event.clientY });
  });
  return row;
}

/** A person's shown name. */
export function nameOf(message: Message): string {
  return message.author.global_name ?? capitalised(message.author.username);
}

/** Whether the bot is still at the answer to this command. */
export function isThinking(message: Message): boolean {
  return ((message.flags ?? 0) & LOADING) !== 0;
}

/** A day as a heading: "Today", "Yesterday" or the date. */
export function dayOf(timestamp: string): string {
  const date = new Date(timestamp);
  const days = Math.round((startOfDay(new Date()) - startOfDay(date)) / 86_400_000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return date.toLocaleDateString(undefined, { day: "numeric", month: "long", year: "numeric" });
}

/** In a thread its starting message stands first, without the way into the thread. */
function starterOf(message: Message): Message {
  const { thread: _, ...original } = message.referenced_message ?? message;
  return { ...original, id: message.id, reactors: message.reactors, type: 0 };
}

function belongsTo(message: Message, previous: Message | undefined): boolean {
  if (previous === undefined || previous.type === THREAD_CREATED) return false;
  const standsAlone =
    message.message_reference !== undefined || message.interaction_metadata !== undefined;
  const isOther =
    previous.author.id !== message.author.id ||
    dayOf(previous.timestamp) !== dayOf(message.timestamp);
  const isFlagged = ((previous.flags ?? 0) & EPHEMERAL) !== ((message.flags ?? 0) & EPHEMERAL);
  return (
    !standsAlone &&
    !isOther &&
    !isFlagged &&
    Date.parse(message.timestamp) - Date.parse(previous.timestamp) < GROUP_MS
  );
}

function authorAvatar(message: Message): HTMLElement {
  return avatar({ id: message.author.id, name: nameOf(message), bot: message.author.bot === true });
}

function headView(message: Message, { rolesOf }: MessageActions): HTMLElement {
  const [role] = rolesOf(message.author.id);
  return el(
    "header",
    { class: "head" },
    el("strong", { class: "author" }, nameOf(message)),
    message.author.bot === true ? el("span", { class: "tag" }, "APP") : null,
    role === undefined ? null : el("span", { class: "role" }, role),
    el(
      "time",
      { datetime: message.timestamp, title: new Date(message.timestamp).toLocaleString() },
      clockTime(message.timestamp),
    ),
  );
}

/** What the message answers: a command, or another message. */
function originView(message: Message, actions: MessageActions): HTMLElement | null {
  const used = message.interaction;
  if (used !== undefined && message.type !== 19) {
    const name = used.user.global_name ?? used.user.username;
    const command = message.type === 20 ? `/${used.name}` : used.name;
    return el(
      "div",
      { class: "origin" },
      el("strong", {}, name),
      " used ",
      el("span", { class: "mention" }, command),
    );
  }
  if (message.type !== 19) return null;
  const replied = message.referenced_message;
  if (!replied)
    return el("div", { class: "origin" }, el("em", {}, "The original message was deleted"));
  const author = replied.author.global_name ?? capitalised(replied.author.username);
  const words = actions.render(replied.content).textContent.replaceAll(/\s+/g, " ").trim();
  const command = replied.interaction === undefined ? "…" : `/${replied.interaction.name}`;
  const excerpt = words.slice(0, 120) || command;
  const jump = () => actions.onJump(replied.id);
  return el(
    "button",
    {
      class: "origin",
      type: "button",
      onclick: jump,
      "aria-label": `Reply to ${author}: ${excerpt}`,
    },
    el("span", { class: "elbow", "aria-hidden": "true" }, "↳ "),
    el("strong", {}, author),
    ` ${excerpt}`,
  );
}

function contentView(message: Message, actions: MessageActions): HTMLElement | null {
  if (isThinking(message)) {
    const isLate = Date.now() - Date.parse(message.timestamp) > TOKEN_LIFE_MS;
    return isLate
      ? el("p", { class: "failed" }, "The application did not respond")
      : el(
          "p",
          { class: "thinking" },
          `${nameOf(message)} is thinking`,
          el("span", { class: "dots", "aria-hidden": "true" }),
        );
  }
  if (message.content === "") return null;
  const content = el("div", { class: "content" }, actions.render(message.content));
  for (const spoiler of content.querySelectorAll(".spoiler")) {
    spoiler.addEventListener("click", () => spoiler.classList.add("shown"));
  }
  if (message.edited_timestamp !== null) {
    const edited = el(
      "span",
      { class: "edited", title: new Date(message.edited_timestamp).toLocaleString() },
      "(edited)",
    );
    const last = content.lastElementChild;
    if (last instanceof HTMLParagraphElement) last.append(" ", edited);
    else content.append(edited);
  }
  return content;
}

function attachmentViews(message: Message): HTMLElement[] {
  return message.attachments.map((file) => {
    const isImage = /^image\/(png|jpeg|gif|webp)/.test(file.content_type ?? "");
    const size = `${Math.max(1, Math.round(file.size / 1024))} KB`;
    return isImage
      ? el("img", {
          class: "picture",
          src: file.url,
          alt: file.description ?? file.filename,
          loading: "lazy",
        })
      : el(
          "a",
          { class: "file", href: file.url, download: file.filename },
          el("span", { class: "file-name" }, file.filename),
          el("small", {}, size),
        );
  });
}

function ephemeralNote(message: Message, actions: MessageActions): HTMLElement {
  const dismiss = () => actions.onDismiss(message);
  return el(
    "p",
    { class: "only-you" },
    "Only you can see this · ",
    el("button", { type: "button", class: "link", onclick: dismiss }, "Dismiss message"),
  );
}

function reactionsView(message: Message, actions: MessageActions): HTMLElement | null {
  const reactions = message.reactions ?? [];
  if (reactions.length === 0) return null;
  const chips = reactions.map((reaction) => {
    const emoji = reaction.emoji.name ?? "";
    const who = (message.reactors[emoji] ?? []).join(", ");
    return el(
      "button",
      {
        type: "button",
        class: reaction.me ? "reaction mine" : "reaction",
        "aria-pressed": String(reaction.me),
        "aria-label": `${emoji}, ${reaction.count}: ${who}`,
        title: who,
        "data-focus": `reaction ${emoji}`,
        onclick: () => actions.onReact(message, emoji),
      },
      emojiView(emoji),
      el("span", { class: "count" }, String(reaction.count)),
    );
  });
  const add = el(
    "button",
    { type: "button", class: "reaction add", "aria-label": "Add a reaction", "data-focus": "add" },
    "☺+",
  );
  add.addEventListener("click", () => actions.onPickEmoji(message, add));
  return el("div", { class: "reactions" }, ...chips, add);
}

function threadChip(message: Message, actions: MessageActions): HTMLElement | null {
  const thread = message.thread;
  if (thread === undefined) return null;
  const count = "message_count" in thread ? (thread.message_count ?? 0) : 0;
  const open = () => actions.onThread(thread.id);
  return el(
    "button",
    { type: "button", class: "thread-chip", onclick: open },
    el("strong", {}, thread.name ?? "Thread"),
    el(
      "span",
      {},
      count === 0 ? "Open thread ›" : `${count} ${count === 1 ? "message" : "messages"} ›`,
    ),
  );
}

function threadNotice(message: Message, actions: MessageActions): HTMLElement {
  const id = message.message_reference?.channel_id ?? "";
  return el(
    "article",
    { class: "message notice", "data-id": message.id, tabindex: "-1" },
    el("strong", {}, nameOf(message)),
    " started a thread: ",
    el(
      "button",
      { type: "button", class: "link", onclick: () => actions.onThread(id) },
      message.content,
    ),
  );
}

function toolbar(message: Message, actions: MessageActions): HTMLElement | null {
  const isEphemeral = ((message.flags ?? 0) & EPHEMERAL) !== 0;
  const button = (label: string, sign: string, act: (anchor: HTMLElement) => void) => {
    const made = el(
      "button",
      {
        type: "button",
        class: "tool",
        "aria-label": label,
        title: label,
        "data-focus": `tool ${label}`,
      },
      sign,
    );
    made.addEventListener("click", () => act(made));
    return made;
  };
  return el(
    "div",
    { class: "toolbar" },
    isEphemeral
      ? null
      : button("Add reaction", "☺", (anchor) => actions.onPickEmoji(message, anchor)),
    isEphemeral ? null : button("Reply", "↩", () => actions.onReply(message)),
    button("More", "⋯", (anchor) => {
      const box = anchor.getBoundingClientRect();
      actions.onMenu(message, { x: box.left, y: box.bottom + 4 });
    }),
  );
}

function clockTime(timestamp: string): string {
  return new Date(timestamp).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}

function startOfDay(date: Date): number {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

function capitalised(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
