/**
 * A running local Discord, and what a test may do with it: act as people, wait, cause failures.
 * The page and the bot use the same server through HTTP and the gateway.
 */
import type { APIMessage } from "discord-api-types/v10";
import type { Faults } from "./faults.ts";
import type { Gateway } from "./gateway/gateway.ts";
import { Moderators } from "./moderators.ts";
import type { PersonActions } from "./people/actions.ts";
import { Person } from "./people/person.ts";
import type { InjectedLimit, RateLimits } from "./rest/rate-limits.ts";
import type { WorldEvent } from "./world/events.ts";
import type { MessageRecord } from "./world/records.ts";
import { OWNER_ID } from "./world/seed.ts";
import type { World } from "./world/world.ts";

/** How long the waiting functions wait when nothing else is said, in milliseconds. */
const WAIT_MS = 10_000;

/** What a `Playground` is made of. */
export type PlaygroundParts = {
  readonly world: World;
  readonly gateway: Gateway;
  readonly limits: RateLimits;
  readonly faults: Faults;
  readonly actions: PersonActions;
  readonly url: string;
  readonly botToken: string;
  readonly tick: () => void;
  readonly close: () => Promise<void>;
};

/** Made by `startPlayground`. */
export class Playground {
  /** Address of the page: `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** For discord.js: `new Client({ rest: { api: playground.apiUrl } })`. */
  readonly apiUrl: string;
  readonly botToken: string;
  readonly #parts: PlaygroundParts;

  constructor(parts: PlaygroundParts) {
    this.#parts = parts;
    this.url = parts.url;
    this.apiUrl = `${parts.url}/api`;
    this.botToken = parts.botToken;
  }

  /** Ends every connection and closes the database. */
  close(): Promise<void> {
    return this.#parts.close();
  }

  /** The member of that user name, who joins now if nobody has it: "mira", "p17". */
  person(username: string): Person {
    const name = username.toLowerCase();
    const user = this.#parts.world.join(name, username.charAt(0).toUpperCase() + username.slice(1));
    return new Person(user, this.#parts.actions);
  }

  /** The id of a channel or thread by its name, without #. */
  channelId(name: string): string {
    const channel = this.#parts.world.store.channels().find((each) => each.name === name);
    if (channel === undefined) throw new Error(`The playground has no channel named ${name}.`);
    return channel.id;
  }

  /** Messages of a channel that everyone sees (and `viewer`'s ephemeral ones), oldest first. */
  messages(channelId: string, viewer?: Person): APIMessage[] {
    const found = this.#parts.world.store.messages(channelId, viewer?.id ?? OWNER_ID, {
      limit: 100,
    });
    return found.reverse().map((message) => this.#present(message, viewer?.id));
  }

  /** A message by its id, as it is now; ephemeral ones included. */
  message(id: string): APIMessage | undefined {
    const found = this.#parts.world.store.message(id);
    return found === undefined ? undefined : this.#present(found, found.visibleTo ?? undefined);
  }

  /** Whether a bot is connected and identified. */
  get isBotConnected(): boolean {
    return this.#parts.gateway.isConnected;
  }

  /** Resolves when a bot is connected, and has registered the slash command if one is named. */
  async waitForBot(options: { command?: string; timeoutMs?: number } = {}): Promise<void> {
    const { command, timeoutMs = WAIT_MS } = options;
    const isReady = () =>
      this.isBotConnected &&
      (command === undefined ||
        this.#parts.world.store.commands().some((each) => each.name === command));
    await this.waitUntil(() => isReady() || undefined, {
      timeoutMs,
      what: `a bot with /${command ?? "…"}`,
    });
  }

  /**
   * Resolves with the first message that fits, be it there already, created or edited later.
   * Messages that only some person sees are included.
   */
  waitFor(
    fits: (message: APIMessage) => boolean,
    options: { channelId?: string; timeoutMs?: number } = {},
  ): Promise<APIMessage> {
    const { channelId, timeoutMs = WAIT_MS } = options;
    const what = `a message that fits ${fits.toString()}`;
    const already = this.#recent(channelId).find(fits);
    if (already !== undefined) return Promise.resolve(already);
    const check = (event: WorldEvent) => {
      // Only the message that something happened to is looked at: many may be waiting at once.
      if (!("message" in event) || event.type === "messageDeleted") return undefined;
      const message = this.message(event.message.id);
      const isHere = channelId === undefined || message?.channel_id === channelId;
      return message !== undefined && isHere && fits(message) ? message : undefined;
    };
    return this.#next(check, timeoutMs, what);
  }

  /**
   * Resolves with the first value of `check` that is not undefined; asked now and after each event.
   * @throws Error when none came in time, saying what was waited for and the last messages
   */
  waitUntil<T>(
    check: () => T | undefined,
    options: { timeoutMs?: number; what?: string } = {},
  ): Promise<T> {
    const now = check();
    if (now !== undefined) return Promise.resolve(now);
    const { timeoutMs = WAIT_MS, what = check.toString() } = options;
    return this.#next(() => check(), timeoutMs, what);
  }

  /** Answers the next fitting REST request of the bot with 429. */
  limitNext(limit: InjectedLimit): void {
    this.#parts.limits.inject(limit);
  }

  /** What moderators and AutoMod do. */
  get moderators(): Moderators {
    return new Moderators(this.#parts.world);
  }

  /** Troubles to order: failing or slow requests, repeated or reordered events. */
  get faults(): Faults {
    return this.#parts.faults;
  }

  /** The shards that are connected now, as `[index, count]`. */
  get connectedShards(): readonly (readonly [number, number])[] {
    return this.#parts.gateway.connectedShards;
  }

  /** IDENTIFYs that the bot has sent so far. */
  get identifyCount(): number {
    return this.#parts.gateway.identifyCount;
  }

  /** REST requests of the bot that were let through so far. */
  get requestCount(): number {
    return this.#parts.limits.passed;
  }

  /** Cuts the bot's sockets as a network failure does. */
  dropSockets(): void {
    this.#parts.gateway.dropSockets();
  }

  /** Lets the bot's sockets die without a word: heartbeats are not acknowledged, events do not arrive. */
  silenceSockets(): void {
    this.#parts.gateway.silenceSockets();
  }

  /** Sends opcode 7. */
  requestReconnect(): void {
    this.#parts.gateway.requestReconnect();
  }

  /** Sends opcode 9. @param resumable whether the session may still resume */
  invalidateSessions(resumable: boolean): void {
    this.#parts.gateway.invalidateSessions(resumable);
  }

  /** Looks at all deadlines now; done by itself ten times a second. For tests with a fake clock. */
  tick(): void {
    this.#parts.tick();
  }

  /** The first value of `check` at an event from now on that is not undefined. */
  #next<T>(
    check: (event: WorldEvent) => T | undefined,
    timeoutMs: number,
    what: string,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer);
        unsubscribe();
        act();
      };
      const unsubscribe = this.#parts.world.bus.subscribe((event) => {
        try {
          const value = check(event);
          if (value !== undefined) settle(() => resolve(value));
        } catch (error) {
          settle(() => reject(error));
        }
      });
      const timer = setTimeout(() => {
        const message = `Waited ${timeoutMs} ms for ${what}. ${this.#describe()}`;
        settle(() => reject(new Error(message)));
      }, timeoutMs);
    });
  }

  #present(message: MessageRecord, viewerId: string | undefined): APIMessage {
    return this.#parts.actions.present(message, viewerId ?? OWNER_ID);
  }

  #recent(channelId: string | undefined): APIMessage[] {
    const { store } = this.#parts.world;
    const ids = channelId === undefined ? store.channels().map((each) => each.id) : [channelId];
    return ids
      .flatMap((id) => store.recentMessages(id, 100))
      .map((each) => this.#present(each, each.visibleTo ?? undefined));
  }

  #describe(): string {
    const last = this.#recent(undefined).slice(0, 5);
    const lines = last.map(
      (each) =>
        `${each.author.username}: ${JSON.stringify(each.content.slice(0, 80))} (flags ${each.flags})`,
    );
    return `Bot connected: ${this.isBotConnected}. Recent messages: ${lines.join("; ") || "none"}.`;
  }
}
