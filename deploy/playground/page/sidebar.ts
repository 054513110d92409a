/** Channels with their threads, the direct conversation, and who one is. */
import { announce, avatar, byId, el } from "./dom.ts";
import type { ChatState } from "./state.ts";
import type { Channel } from "./types.ts";

/** Shows the sidebar. @param onGo a channel was chosen */
export class Sidebar {
  readonly #state: ChatState;
  readonly #onGo: (channelId: string) => void;

  constructor(state: ChatState, onGo: (channelId: string) => void) {
    this.#state = state;
    this.#onGo = onGo;
    byId("guild-name").textContent = state.community.guild;
    state.subscribe((change) => {
      if (change.part === "channels" || change.part === "place") this.#drawChannels();
      if (change.part === "person") this.#drawPeople();
    });
    byId("open-sidebar").addEventListener("click", () => this.#setOpen(true));
    byId("scrim").addEventListener("click", () => this.#setOpen(false));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#setOpen(false);
    });
  }

  #drawChannels(): void {
    const { channels } = this.#state;
    const sorted = channels.toSorted(
      (a, b) => a.position - b.position || a.id.length - b.id.length || (a.id < b.id ? -1 : 1),
    );
    const categories = sorted.filter((each) => each.kind === "category");
    const groups = categories.map((category) => {
      const within = sorted.filter((each) => each.kind === "text" && each.parentId === category.id);
      return el(
        "section",
        {},
        el("h3", {}, category.name),
        el("ul", {}, ...within.map((each) => this.#channelItem(each, sorted))),
      );
    });
    const direct = sorted.find((each) => each.kind === "direct");
    const open = el(
      "li",
      {},
      direct === undefined ? this.#openDirectButton() : this.#link(direct, "Zephyr", "@"),
    );
    byId("channels").replaceChildren(
      ...groups,
      el("section", {}, el("h3", {}, "Direct messages"), el("ul", {}, open)),
    );
  }

  #channelItem(channel: Channel, all: readonly Channel[]): HTMLElement {
    const threads = all.filter(
      (each) =>
        each.kind === "thread" &&
        each.parentId === channel.id &&
        (!each.isArchived || each.id === this.#state.channelId),
    );
    return el(
      "li",
      {},
      this.#link(channel, channel.name, "#"),
      threads.length === 0
        ? null
        : el(
            "ul",
            { class: "threads" },
            ...threads.map((each) => el("li", {}, this.#link(each, each.name, "↳"))),
          ),
    );
  }

  #link(channel: Channel, name: string, sign: string): HTMLElement {
    const isHere = channel.id === this.#state.channelId;
    const isUnread = this.#state.unread.has(channel.id);
    return el(
      "button",
      {
        type: "button",
        class: ["channel", isHere && "here", isUnread && "unread"].filter(Boolean).join(" "),
        "aria-current": isHere ? "page" : undefined,
        onclick: () => this.#go(channel.id),
      },
      el("span", { class: "sign", "aria-hidden": "true" }, sign),
      el("span", { class: "name" }, name),
      isUnread ? el("span", { class: "dot", title: "New messages" }) : null,
    );
  }

  #openDirectButton(): HTMLElement {
    const open = async () => {
      const channel = await this.#state.connection.openDirect();
      if (!this.#state.channels.some((each) => each.id === channel.id))
        this.#state.channels.push(channel);
      this.#go(channel.id);
    };
    return el(
      "button",
      { type: "button", class: "channel", onclick: () => void open() },
      el("span", { class: "sign", "aria-hidden": "true" }, "@"),
      el("span", { class: "name" }, "Zephyr"),
    );
  }

  #go(channelId: string): void {
    this.#setOpen(false);
    this.#onGo(channelId);
  }

  #drawPeople(): void {
    const { me, community } = this.#state;
    const others = community.people.filter((person) => person.listed);
    const [role] = this.#state.rolesOf(me.id);
    const buttons = others.map((person) =>
      el(
        "button",
        {
          type: "button",
          class: person.id === me.id ? "person me" : "person",
          "aria-pressed": String(person.id === me.id),
          "aria-label": person.id === me.id ? `You are ${person.name}` : `Become ${person.name}`,
          title: [person.name, ...this.#state.rolesOf(person.id)].join(" · "),
          onclick: () => void this.#state.become(person.id),
        },
        avatar(person),
      ),
    );
    byId("people").replaceChildren(
      el(
        "p",
        {},
        "You are ",
        el("strong", {}, me.name),
        role === undefined ? null : el("span", { class: "role" }, role),
      ),
      el("div", { class: "switch", role: "group", "aria-label": "Switch person" }, ...buttons),
      this.#languageSelect(),
    );
  }

  /** Discord's own setting: the language of commands, and of what the bot says to this person. */
  #languageSelect(): HTMLElement {
    const { me, community } = this.#state;
    const select = el(
      "select",
      { "aria-label": "Your language" },
      ...community.locales.map((locale) =>
        el(
          "option",
          { value: locale, selected: locale === me.locale, lang: locale },
          nameOf(locale),
        ),
      ),
    );
    select.addEventListener("change", () => {
      this.#state.speak(select.value).catch((error: Error) => announce(error.message));
    });
    return el("label", { class: "language" }, el("span", {}, "Language"), select);
  }

  #setOpen(isOpen: boolean): void {
    const wasOpen = !byId("scrim").hidden;
    if (isOpen === wasOpen) return;
    byId("app").classList.toggle("sidebar-open", isOpen);
    byId("scrim").hidden = !isOpen;
    // What lies below the scrim can be neither pressed nor reached by Tab.
    byId("chat").inert = isOpen;
    byId("open-sidebar").setAttribute("aria-expanded", String(isOpen));
    if (isOpen) byId("channels").querySelector<HTMLElement>("[aria-current]")?.focus();
    else byId("open-sidebar").focus();
  }
}

/** A language by its own name. */
function nameOf(locale: string): string {
  return new Intl.DisplayNames(locale, { type: "language" }).of(locale) ?? locale;
}
