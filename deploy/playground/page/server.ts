/** Talks to the playground's own HTTP API as one person. Knows nothing of what is on screen. */
import type { Channel, Command, Community, FeedEvent, Message, Outcome, Status } from "./types.ts";

/** A refusal, in words for the person. */
export class Refusal extends Error {}

/** What a person types into a command's options. */
export type OptionValues = Record<string, string | number | boolean | GivenFile>;

/** A file chosen for an option. */
export type GivenFile = {
  readonly name: string;
  readonly contentType: string;
  readonly base64: string;
};

/** Everybody, and who the bot is. */
export function fetchCommunity(): Promise<Community> {
  return request("GET", "/people");
}

/** The status strip's content. */
export function fetchStatus(): Promise<Status> {
  return request("GET", "/status");
}

/** One person's connection; made anew when someone else is chosen. */
export class PersonConnection {
  readonly id: string;
  #source: EventSource | undefined;

  constructor(id: string) {
    this.id = id;
  }

  /**
   * Follows events. `onGap` is called when the stream came back after a loss: events are missing.
   * @param onState whether the stream is there
   */
  follow(handlers: {
    onEvent: (event: FeedEvent) => void;
    onGap: () => void;
    onState: (isOpen: boolean) => void;
  }): void {
    const source = new EventSource(`/local/${this.id}/events`);
    let wasLost = false;
    source.addEventListener("open", () => {
      handlers.onState(true);
      if (wasLost) handlers.onGap();
      wasLost = false;
    });
    source.addEventListener("error", () => {
      wasLost = true;
      handlers.onState(false);
    });
    source.addEventListener("message", (event) => handlers.onEvent(JSON.parse(event.data)));
    this.#source = source;
  }

  close(): void {
    this.#source?.close();
  }

  channels(): Promise<Channel[]> {
    return this.#get("/channels");
  }

  messages(channelId: string, before?: string): Promise<Message[]> {
    return this.#get(
      `/channels/${channelId}/messages?limit=50${before === undefined ? "" : `&before=${before}`}`,
    );
  }

  /** Chooses the person's language, as Discord writes it. */
  setLocale(locale: string): Promise<void> {
    return request("PUT", `/${this.id}/locale`, { locale });
  }

  commands(channelId: string): Promise<Command[]> {
    return this.#get(`/channels/${channelId}/commands`);
  }

  say(channelId: string, content: string, replyTo: string | undefined): Promise<Message> {
    return this.#post(`/channels/${channelId}/messages`, {
      content,
      ...(replyTo === undefined ? {} : { replyTo }),
    });
  }

  type(channelId: string): Promise<void> {
    return this.#post(`/channels/${channelId}/typing`, {});
  }

  startThread(channelId: string, name: string, messageId: string): Promise<Channel> {
    return this.#post(`/channels/${channelId}/threads`, { name, messageId });
  }

  openDirect(): Promise<Channel> {
    return this.#post("/direct", {});
  }

  edit(messageId: string, content: string): Promise<Message> {
    return request("PATCH", `/${this.id}/messages/${messageId}`, { content });
  }

  delete(messageId: string): Promise<void> {
    return request("DELETE", `/${this.id}/messages/${messageId}`, {});
  }

  setReaction(messageId: string, emoji: string, isOn: boolean): Promise<void> {
    const path = `/${this.id}/messages/${messageId}/reactions/${encodeURIComponent(emoji)}`;
    return request(isOn ? "PUT" : "DELETE", path, {});
  }

  slash(channelId: string, name: string, options: OptionValues): Promise<Outcome> {
    return this.#post(`/channels/${channelId}/slash`, { name, options });
  }

  autocomplete(
    channelId: string,
    name: string,
    options: OptionValues,
    focused: string,
  ): Promise<Outcome> {
    return this.#post(`/channels/${channelId}/autocomplete`, { name, options, focused });
  }

  messageCommand(messageId: string, name: string): Promise<Outcome> {
    return this.#post(`/messages/${messageId}/menu`, { name });
  }

  component(messageId: string, customId: string, values?: readonly string[]): Promise<Outcome> {
    return this.#post(`/messages/${messageId}/component`, {
      customId,
      ...(values === undefined ? {} : { values }),
    });
  }

  submitModal(values: Readonly<Record<string, string | readonly string[]>>): Promise<Outcome> {
    return this.#post("/modal", { values });
  }

  dismissModal(): Promise<void> {
    return request("DELETE", `/${this.id}/modal`, {});
  }

  #get<T>(path: string): Promise<T> {
    return request("GET", `/${this.id}${path}`);
  }

  #post<T>(path: string, body: object): Promise<T> {
    return request("POST", `/${this.id}${path}`, body);
  }
}

async function request<T>(method: string, path: string, body?: object): Promise<T> {
  const response = await fetch(`/local${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
  }).catch(() => {
    throw new Refusal("The playground does not answer. Is it still running?");
  });
  const text = await response.text();
  const json = text === "" ? undefined : JSON.parse(text);
  if (!response.ok) throw new Refusal(explain(json));
  return json;
}

/** Discord's errors name each field; people are told the first complaint. */
function explain(error: { message?: string; errors?: unknown } | undefined): string {
  return firstComplaint(error?.errors) ?? error?.message ?? "That did not work.";
}

function firstComplaint(node: unknown, field?: string): string | undefined {
  if (typeof node !== "object" || node === null) return undefined;
  for (const [key, value] of Object.entries(node)) {
    if (key === "_errors" && Array.isArray(value)) {
      const message = String(value[0]?.message ?? "is not right");
      return field === undefined ? message : `${field}: ${message}`;
    }
    const inner = firstComplaint(value, key);
    if (inner !== undefined) return inner;
  }
  return undefined;
}
