/** Starts the page: loads who there is, and puts its parts together. */
import { messageCommands } from "./commands.ts";
import { Composer } from "./composer.ts";
import { announce, byId, el } from "./dom.ts";
import { PICKABLE_EMOJIS } from "./emoji-view.ts";
import { createMarkdown } from "./markdown.ts";
import { MessageList } from "./message-list.ts";
import type { MessageActions } from "./message-view.ts";
import { openModal } from "./modal-view.ts";
import { type MenuItem, openEmojiPicker, openMenu } from "./overlay.ts";
import { Sidebar } from "./sidebar.ts";
import { ChatState } from "./state.ts";
import { showStatus } from "./status-strip.ts";
import type { Message, Outcome } from "./types.ts";

const EPHEMERAL = 64;

const state = await ChatState.load();
const render = createMarkdown({
  user: (id) => state.community.people.find((each) => each.id === id)?.name,
  channel: (id) => state.channels.find((each) => each.id === id)?.name,
  role: (id) => state.community.roles.find((each) => each.id === id)?.name,
});
const composer = new Composer(state, { onOutcome: handleOutcome, onSending: showSending });
const list = new MessageList(state, messageActions);
new Sidebar(state, (channelId) => {
  void attempt(state.enter(channelId));
  composer.focus();
});
state.subscribe((change) => {
  if (change.part === "place") drawPlace();
  if (change.part === "typing") drawTyping();
  if (change.part === "connection") byId("app").classList.toggle("offline", !state.isOnline);
});
byId("messages").addEventListener("click", followMessageLink);
showStatus(state);
await state.become(state.me.id);
composer.focus();

function messageActions(): MessageActions {
  return {
    entities: (type) => state.entities(type),
    myId: state.me.id,
    rolesOf: (id) => state.rolesOf(id),
    render,
    onMenu: openMessageMenu,
    onReply: (message) => state.setReply(message),
    onReact: toggleReaction,
    onPickEmoji: (message, anchor) =>
      openEmojiPicker(
        anchor,
        PICKABLE_EMOJIS,
        (emoji) => void attempt(state.connection.setReaction(message.id, emoji, true)),
      ),
    onComponent: useComponent,
    onThread: (threadId) => void attempt(state.enter(threadId)),
    onJump: (id) => list.jumpTo(id),
    onDismiss: (message) => void attempt(state.connection.delete(message.id)),
  };
}

/** Discord's links to messages lead there, as in Discord; to places that are not here, out. */
function followMessageLink(event: MouseEvent): void {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  const to = /^https:\/\/discord\.com\/channels\/(?:\d+|@me)\/(\d+)\/(\d+)$/.exec(link?.href ?? "");
  const [, channelId = "", messageId = ""] = to ?? [];
  if (!state.channels.some(({ id }) => id === channelId)) return;
  event.preventDefault();
  void attempt(state.enter(channelId).then(() => list.jumpTo(messageId)));
}

function toggleReaction(message: Message, emoji: string): void {
  const isMine = message.reactions?.some((each) => each.emoji.name === emoji && each.me) === true;
  void attempt(state.connection.setReaction(message.id, emoji, !isMine));
}

async function useComponent(
  message: Message,
  customId: string,
  values?: readonly string[],
): Promise<void> {
  const outcome = await attempt(state.connection.component(message.id, customId, values));
  if (outcome !== undefined) handleOutcome(outcome);
}

function openMessageMenu(message: Message, at: { x: number; y: number }): void {
  const row = document.querySelector(`.message[data-id="${CSS.escape(message.id)}"]`);
  row?.classList.add("menu-open");
  openMenu(at, menuItems(message), () => {
    document.querySelector(".message.menu-open")?.classList.remove("menu-open");
  });
}

function menuItems(message: Message): MenuItem[] {
  const { connection, channel } = state;
  const isEphemeral = ((message.flags ?? 0) & EPHEMERAL) !== 0;
  const isMine = message.author.id === state.me.id;
  const copy: MenuItem = { label: "Copy text", act: () => void copyText(message.content) };
  if (isEphemeral)
    return [
      copy,
      { label: "Dismiss message", act: () => void attempt(connection.delete(message.id)) },
    ];
  const items: MenuItem[] = [{ label: "Reply", act: () => state.setReply(message) }];
  if (channel?.kind === "text" && message.thread === undefined) {
    items.push({ label: "Start thread", act: () => void startThread(message) });
  }
  if (isMine) items.push({ label: "Edit message", act: () => composer.edit(message) });
  items.push(copy);
  if (isMine)
    items.push({
      label: "Delete message",
      isDanger: true,
      act: () => void attempt(connection.delete(message.id)),
    });
  const apps = messageCommands(state.commands);
  if (apps.length > 0) items.push({ label: "Apps" });
  items.push(
    ...apps.map(({ name, label }) => ({
      label,
      act: () => void useMessageCommand(message, name, label),
    })),
  );
  return items;
}

async function useMessageCommand(message: Message, name: string, label: string): Promise<void> {
  const sent = state.connection.messageCommand(message.id, name);
  showSending(label, sent);
  const outcome = await attempt(sent);
  if (outcome !== undefined) handleOutcome(outcome);
}

async function startThread(message: Message): Promise<void> {
  const words = message.content
    .replaceAll(/<[@#][!&]?\d+>/g, "")
    .trim()
    .split(/\s+/)
    .slice(0, 6)
    .join(" ");
  const name = words.slice(0, 100) || "New thread";
  const thread = await attempt(state.connection.startThread(state.channelId, name, message.id));
  if (thread === undefined) return;
  if (!state.channels.some((each) => each.id === thread.id)) state.channels.push(thread);
  await attempt(state.enter(thread.id));
  composer.focus();
}

function handleOutcome(outcome: Outcome): void {
  if (outcome.kind === "failed") announce("The application did not respond");
  if (outcome.kind !== "modal") return;
  const { connection } = state;
  openModal(outcome.modal, {
    entities: (type) => state.entities(type),
    render,
    cancel: () => void attempt(connection.dismissModal()),
    submit: async (values) => handleOutcome(await connection.submitModal(values)),
  });
}

/** A line at the end of the messages while a command waits for its first response. */
function showSending(label: string, done: Promise<unknown>): void {
  const line = el(
    "p",
    { class: "sending" },
    `Sending ${label}`,
    el("span", { class: "dots", "aria-hidden": "true" }),
  );
  const show = setTimeout(() => {
    byId("messages").append(line);
    list.toEnd();
  }, 400);
  const remove = () => {
    clearTimeout(show);
    line.remove();
  };
  done.then(remove, remove);
}

async function copyText(text: string): Promise<void> {
  await attempt(navigator.clipboard.writeText(text));
  announce("Copied");
}

function drawPlace(): void {
  const { channel } = state;
  const name = channel?.kind === "direct" ? "Zephyr" : (channel?.name ?? "");
  const sign = { text: "#", direct: "@", thread: "↳", category: "" }[channel?.kind ?? "text"];
  byId("channel-name").replaceChildren(
    el("span", { class: "sign", "aria-hidden": "true" }, sign),
    name,
  );
  const parent = state.channels.find((each) => each.id === channel?.parentId);
  const topic =
    channel?.kind === "thread" ? `Thread in #${parent?.name ?? ""}` : (channel?.topic ?? "");
  byId("channel-topic").textContent = topic;
  document.title = `${sign}${name} · Zephyr playground`;
}

function drawTyping(): void {
  const names = state.typingNames();
  const who = names.length > 2 ? "Several people" : names.join(" and ");
  const text = names.length === 0 ? "" : `${who} ${names.length === 1 ? "is" : "are"} typing`;
  byId("typing").replaceChildren(
    text,
    names.length === 0 ? "" : el("span", { class: "dots", "aria-hidden": "true" }),
  );
}

/** Waits for something the person asked for; a refusal is told to them. */
async function attempt<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    announce(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}
