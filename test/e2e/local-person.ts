/** People who act through the playground's own HTTP API, as its page does, but without a browser. */
import { createParser } from "eventsource-parser";
import { z } from "zod";

const messageSchema = z.looseObject({
  id: z.string(),
  channel_id: z.string(),
  content: z.string(),
  author: z.looseObject({ id: z.string(), bot: z.boolean().optional() }),
  reactions: z
    .array(z.looseObject({ emoji: z.looseObject({ name: z.string().nullable() }) }))
    .optional(),
});

/** A message as a person sees it. */
export type SeenMessage = z.infer<typeof messageSchema>;

const eventSchema = z.union([
  z.looseObject({ type: z.literal("message"), message: messageSchema }),
  z.looseObject({ type: z.string() }),
]);

const outcomeSchema = z.looseObject({ kind: z.string(), message: messageSchema.optional() });

/** A file as an option of a command. */
type SentFile = { readonly name: string; readonly contentType: string; readonly base64: string };

/** A community on a playground. */
export class LocalCommunity implements AsyncDisposable {
  readonly #root: string;
  readonly #messages = new Map<string, SeenMessage>();
  readonly #watchers = new Set<() => void>();
  readonly #leave = new AbortController();
  #reading: Promise<void> = Promise.resolve();

  private constructor(page: string) {
    this.#root = `${page.replace(/\/$/, "")}/local`;
  }

  /** Watches what one person sees, from now on. */
  static async watch(page: string, personId: string): Promise<LocalCommunity> {
    const community = new LocalCommunity(page);
    const response = await fetch(`${community.#root}/${personId}/events`, {
      signal: community.#leave.signal,
    });
    if (response.body === null) throw new Error("the event stream has no body");
    community.#reading = community.#read(response.body).catch(() => undefined);
    return community;
  }

  /** The id of the person of that name, who joins if there is none yet. */
  static async join(page: string, name: string): Promise<string> {
    const found = await post(`${page.replace(/\/$/, "")}/local/people`, { name });
    return z.looseObject({ id: z.string() }).parse(found).id;
  }

  /** The text channels' ids by name. */
  async channels(personId: string): Promise<ReadonlyMap<string, string>> {
    const response = await fetch(`${this.#root}/${personId}/channels`);
    const channels = z
      .array(z.looseObject({ id: z.string(), name: z.string(), kind: z.string() }))
      .parse(await response.json());
    return new Map(
      channels.filter(({ kind }) => kind === "text").map(({ id, name }) => [name, id]),
    );
  }

  /** Uses a slash command; gives the id of the message that answers it. */
  async slash(
    personId: string,
    channelId: string,
    name: string,
    options: Readonly<Record<string, string | number | SentFile>>,
  ): Promise<string> {
    const body = await post(`${this.#root}/${personId}/channels/${channelId}/slash`, {
      name,
      options,
    });
    const { kind, message } = outcomeSchema.parse(body);
    if (message === undefined)
      throw new Error(`/${name} was answered by ${kind}, not by a message`);
    return message.id;
  }

  /** Places a reaction. */
  async react(personId: string, messageId: string, emoji: string): Promise<void> {
    const url = `${this.#root}/${personId}/messages/${messageId}/reactions/${encodeURIComponent(emoji)}`;
    const response = await fetch(url, {
      method: "PUT",
      headers: { "content-type": "application/json" },
    });
    if (!response.ok)
      throw new Error(`reacting failed: ${response.status} ${await response.text()}`);
  }

  /** Waits until a message looks as `accepts` wants it. @throws Error after `limitMs` */
  async until(
    messageId: string,
    accepts: (message: SeenMessage) => boolean,
    limitMs: number,
  ): Promise<SeenMessage> {
    const current = () => {
      const message = this.#messages.get(messageId);
      return message !== undefined && accepts(message) ? message : undefined;
    };
    const { promise, resolve, reject } = Promise.withResolvers<SeenMessage>();
    const look = () => {
      const message = current();
      if (message !== undefined) resolve(message);
    };
    const timer = setTimeout(
      () =>
        reject(
          new Error(`message ${messageId} stayed ${JSON.stringify(this.#messages.get(messageId))}`),
        ),
      limitMs,
    );
    this.#watchers.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(look);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave.abort();
    await this.#reading;
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const parser = createParser({ onEvent: ({ data }) => this.#see(data) });
    const decoder = new TextDecoder();
    for await (const bytes of body) parser.feed(decoder.decode(bytes, { stream: true }));
  }

  #see(data: string): void {
    const event = eventSchema.safeParse(JSON.parse(data));
    const message = messageSchema.safeParse(event.data?.["message"]);
    if (!message.success) return;
    this.#messages.set(message.data.id, message.data);
    for (const look of this.#watchers) look();
  }
}

async function post(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`POST ${url}: ${response.status} ${await response.text()}`);
  return response.json();
}
