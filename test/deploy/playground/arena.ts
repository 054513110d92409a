/** What the playground's tests share: a clock moved by hand, a playground in a fresh folder, clients. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, GatewayIntentBits, type Interaction, Partials } from "discord.js";
import { onTestFinished } from "vitest";
import { WebSocket } from "ws";
import type { Playground } from "#deploy/playground/playground.ts";
import { type PlaygroundOptions, startPlayground } from "#deploy/playground/start.ts";
import { type Clock, systemClock } from "#engine/base/clock.ts";

/** The token that every test's playground knows. */
export const BOT_TOKEN = "MTIwMDAwMDAwMDAwMDAwMDAwMg.test.token";
/** The bot's user and application id. */
export const BOT_ID = "1200000000000000002";

/** A clock that stands still until it is moved. */
export class HandClock implements Clock {
  #ms = Date.UTC(2026, 0, 1);

  nowMs(): number {
    return this.#ms;
  }

  monotonicMs(): number {
    return this.#ms;
  }

  forward(ms: number): void {
    this.#ms += ms;
  }
}

/** A folder that is removed when the test is over. */
export function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "playground-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A playground that is closed when the test is over. */
export async function openPlayground(
  options: Partial<PlaygroundOptions> = {},
): Promise<Playground> {
  const playground = await startPlayground({
    host: "127.0.0.1",
    port: 0,
    dataDir: options.dataDir ?? freshFolder(),
    botToken: BOT_TOKEN,
    clock: systemClock,
    logLevel: "silent",
    ...options,
  });
  onTestFinished(() => playground.close());
  return playground;
}

/** A discord.js client that is logged in, and leaves when the test is over. */
export async function logIn(
  playground: Playground,
  intents: readonly GatewayIntentBits[] = [],
): Promise<Client<true>> {
  const client = makeClient(playground, intents);
  const ready = new Promise<Client<true>>((resolve) => client.once("clientReady", resolve));
  await client.login(BOT_TOKEN);
  return ready;
}

/** A discord.js client that has not logged in yet. */
export function makeClient(
  playground: Playground,
  intents: readonly GatewayIntentBits[] = [],
): Client {
  const client = new Client({
    intents: [
      GatewayIntentBits.Guilds,
      GatewayIntentBits.GuildMessages,
      GatewayIntentBits.GuildMessageReactions,
      GatewayIntentBits.DirectMessages,
      ...intents,
    ],
    partials: [Partials.Message, Partials.Reaction, Partials.Channel, Partials.User],
    rest: { api: playground.apiUrl },
  });
  onTestFinished(() => client.destroy());
  return client;
}

/** One REST call as the bot. A `body` that is FormData goes as multipart, anything else as JSON. */
export function call(
  playground: Playground,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = { authorization: `Bot ${BOT_TOKEN}` },
): Promise<Response> {
  const isForm = body instanceof FormData;
  const type: Record<string, string> =
    isForm || body === undefined ? {} : { "content-type": "application/json" };
  return fetch(`${playground.apiUrl}/v10${path}`, {
    method,
    headers: { ...headers, ...type },
    ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
  });
}

/** A frame of the gateway. */
export type Frame = {
  readonly op: number;
  readonly t: string | null;
  readonly s: number | null;
  readonly d: unknown;
};

/** A plain WebSocket on the gateway that keeps what it received. */
export class RawGateway {
  readonly frames: Frame[] = [];
  readonly #socket: WebSocket;
  readonly #closed: Promise<{ code: number; reason: string }>;
  #wake: (() => void)[] = [];

  constructor(
    playground: Playground,
    query = "v=10&encoding=json",
    headers: Record<string, string> = {},
  ) {
    this.#socket = new WebSocket(`${playground.url.replace("http", "ws")}/gateway/?${query}`, {
      headers,
    });
    this.#socket.on("message", (data) => {
      this.frames.push(JSON.parse(String(data)));
      for (const wake of this.#wake) wake();
    });
    this.#closed = new Promise((resolve) => {
      this.#socket.on("close", (code, reason) => resolve({ code, reason: String(reason) }));
      this.#socket.on("error", () => resolve({ code: 0, reason: "refused" }));
    });
    onTestFinished(() => this.#socket.terminate());
  }

  /** Resolves with the close code. */
  closed(): Promise<{ code: number; reason: string }> {
    return this.#closed;
  }

  send(frame: object | string): void {
    this.#socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  terminate(): void {
    this.#socket.terminate();
  }

  /** The first frame that fits, now or later. */
  async frame(fits: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Says hello and identifies; resolves with the READY event's data. */
  async identify(intents: number, token = BOT_TOKEN): Promise<unknown> {
    await this.frame((frame) => frame.op === 10);
    const properties = { os: "linux", browser: "test", device: "test" };
    this.send({ op: 2, d: { token, intents, properties } });
    return (await this.frame((frame) => frame.t === "READY")).d;
  }
}

/** Handles interactions; a failure fails the test, by way of an unhandled rejection. */
export function onInteraction(
  client: Client,
  handle: (interaction: Interaction) => Promise<void>,
): void {
  client.on("interactionCreate", (interaction) => void handle(interaction));
}
