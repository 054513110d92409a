/**
 * The gateway protocol over one WebSocket each: hello, heartbeats, identify, resume, close codes.
 * https://discord.com/developers/docs/events/gateway. Knows nothing of what events mean.
 */
import { randomBytes } from "node:crypto";
import {
  GatewayCloseCodes as Close,
  GatewayIntentBits,
  GatewayOpcodes as Op,
} from "discord-api-types/v10";
import type { WebSocket } from "ws";
import { z } from "zod";
import type { Clock } from "#engine/base/clock.ts";
import type { Faults } from "../faults.ts";
import { GatewaySession } from "./session.ts";

/** Discord's own interval, in milliseconds. */
export const HEARTBEAT_INTERVAL_MS = 41_250;
/** Payloads a client may send in a minute. */
const SENDS_PER_MINUTE = 120;
/** How long a lost session can be resumed. */
const RESUME_WINDOW_MS = 5 * 60_000;
/** Sessions kept at once. */
const SESSION_LIMIT = 64;
/** Identifies a day: https://discord.com/developers/docs/events/gateway#session-start-limit-object */
const IDENTIFY_LIMIT = 1_000;
const DAY_MS = 86_400_000;
/** https://discord.com/developers/docs/events/gateway#rate-limiting: one IDENTIFY in so long, for each bucket. */
const IDENTIFY_INTERVAL_MS = 5_000;
/** Every intent bit that exists. */
const KNOWN_INTENTS = 0b11_0011_0001_1111_1111_1111_1111;

const frame = z.object({ op: z.int(), d: z.unknown().optional() });
const identify = z.object({
  token: z.string(),
  intents: z.int().min(0),
  properties: z.object({}),
  shard: z.tuple([z.int().min(0), z.int().min(1)]).optional(),
});
const resume = z.object({ token: z.string(), session_id: z.string(), seq: z.int().min(0) });

/** What the gateway asks of the rest of the server. */
export type GatewayHost = {
  /** Sends READY and what follows it to a session just identified. */
  greet(session: GatewaySession): void;
  /** Handles a request that is no part of the connection's life (guild members, presence). */
  request(session: GatewaySession, opcode: number, data: unknown): void;
  /** A session came, came back, or lost its socket. */
  presenceChanged(): void;
};

type Connection = {
  readonly socket: WebSocket;
  session: GatewaySession | null;
  lastHeartbeatMs: number;
  /** Nothing reaches the client any more, though neither side was told. */
  isSilent: boolean;
  sentAtMs: number[];
};

/** Settings of a gateway. */
export type GatewayOptions = {
  readonly clock: Clock;
  readonly botToken: string;
  readonly heartbeatIntervalMs: number;
  /** Intents that the application may not ask for (close code 4014), as bits. */
  readonly disallowedIntents: number;
  readonly faults: Faults;
  /** Shards that GET /gateway/bot recommends. */
  readonly shards: number;
  /** Shards that may identify in the same five seconds, by their id's remainder; undefined: any number, as fast as they like. */
  readonly maxConcurrency: number | undefined;
};

/** All sockets and sessions of the application. */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #host: GatewayHost;
  readonly #connections = new Set<Connection>();
  readonly #sessions = new Map<string, GatewaySession>();
  #identifiedAtMs: number[] = [];
  #identifyCount = 0;
  /** When each bucket identified last. */
  readonly #bucketAtMs = new Map<number, number>();

  constructor(options: GatewayOptions, host: GatewayHost) {
    this.#options = options;
    this.#host = host;
  }

  /** Sessions that get events: those with a socket and those that may still resume. */
  get sessions(): readonly GatewaySession[] {
    return [...this.#sessions.values()];
  }

  /** Whether the application may ask for the Message Content intent. */
  get mayReadContent(): boolean {
    return (this.#options.disallowedIntents & GatewayIntentBits.MessageContent) === 0;
  }

  /** Whether a bot is connected now. */
  get isConnected(): boolean {
    return this.sessions.some((session) => session.lostAtMs === null);
  }

  /** The shards that are connected now, as `[index, count]`. */
  get connectedShards(): readonly (readonly [number, number])[] {
    return this.sessions.filter(({ lostAtMs }) => lostAtMs === null).map(({ shard }) => shard);
  }

  /** IDENTIFYs that were taken since the start. */
  get identifyCount(): number {
    return this.#identifyCount;
  }

  /** For GET /gateway/bot. */
  get shards(): number {
    return this.#options.shards;
  }

  /** For GET /gateway/bot. */
  sessionStartLimit(): {
    total: number;
    remaining: number;
    reset_after: number;
    max_concurrency: number;
  } {
    const now = this.#options.clock.monotonicMs();
    this.#identifiedAtMs = this.#identifiedAtMs.filter((at) => now - at < DAY_MS);
    const first = this.#identifiedAtMs[0];
    return {
      total: IDENTIFY_LIMIT,
      remaining: Math.max(0, IDENTIFY_LIMIT - this.#identifiedAtMs.length),
      reset_after: first === undefined ? 0 : Math.ceil(DAY_MS - (now - first)),
      max_concurrency: this.#options.maxConcurrency ?? 1,
    };
  }

  /** Takes a new socket. @param query of its address */
  accept(socket: WebSocket, query: URLSearchParams): void {
    const version = query.get("v");
    if (version !== null && !["9", "10"].includes(version)) {
      socket.close(Close.InvalidAPIVersion, "Invalid API version.");
      return;
    }
    if (query.get("encoding") === "etf" || query.has("compress")) {
      socket.close(Close.DecodeError, "Only encoding=json without compression is served here.");
      return;
    }
    const now = this.#options.clock.monotonicMs();
    const connection: Connection = {
      ...{ socket, session: null, lastHeartbeatMs: now },
      ...{ isSilent: false, sentAtMs: [] },
    };
    this.#connections.add(connection);
    socket.on("message", (data, isBinary) =>
      this.#receive(connection, isBinary ? "" : String(data)),
    );
    socket.on("close", () => this.#lose(connection));
    socket.on("error", () => socket.terminate());
    this.#send(connection, Op.Hello, {
      heartbeat_interval: this.#options.heartbeatIntervalMs,
      _trace: [],
    });
  }

  /** Asks every client to reconnect and resume, as Discord does when it moves servers. */
  requestReconnect(): void {
    for (const connection of this.#connections) this.#send(connection, Op.Reconnect, null);
  }

  /** Tells every client that its session is gone. @param resumable whether it may still resume */
  invalidateSessions(resumable: boolean): void {
    for (const connection of this.#connections) {
      if (!resumable && connection.session !== null) this.#sessions.delete(connection.session.id);
      if (!resumable) connection.session = null;
      this.#send(connection, Op.InvalidSession, resumable);
    }
    this.#host.presenceChanged();
  }

  /** Cuts every socket without a close frame, as a network failure does. */
  dropSockets(): void {
    for (const connection of this.#connections) connection.socket.terminate();
  }

  /**
   * Lets every socket that is open now die without a word, as behind a router that forgot it: heartbeats are not
   * acknowledged and events do not arrive, but stay in the session for a resume.
   */
  silenceSockets(): void {
    for (const connection of this.#connections) connection.isSilent = true;
  }

  /** Closes sockets whose heartbeats stopped, and forgets sessions too old to resume. */
  tick(): void {
    const now = this.#options.clock.monotonicMs();
    const silenceMs = this.#options.heartbeatIntervalMs * 1.5;
    for (const connection of this.#connections) {
      if (now - connection.lastHeartbeatMs <= silenceMs) continue;
      connection.socket.close(Close.SessionTimedOut, "Session timed out.");
      this.#lose(connection);
    }
    for (const session of this.sessions) {
      if (session.lostAtMs !== null && now - session.lostAtMs > RESUME_WINDOW_MS)
        this.#sessions.delete(session.id);
    }
  }

  /** Closes every socket for good. */
  close(): void {
    for (const connection of this.#connections) connection.socket.terminate();
    this.#connections.clear();
    this.#sessions.clear();
  }

  #receive(connection: Connection, text: string): void {
    const now = this.#options.clock.monotonicMs();
    connection.sentAtMs = [...connection.sentAtMs.filter((at) => now - at < 60_000), now];
    if (connection.sentAtMs.length > SENDS_PER_MINUTE) {
      connection.socket.close(Close.RateLimited, "Rate limited.");
      return;
    }
    const parsed = frame.safeParse(parseJson(text));
    if (!parsed.success) {
      connection.socket.close(Close.DecodeError, "Error while decoding payload.");
      return;
    }
    this.#handle(connection, parsed.data.op, parsed.data.d);
  }

  #handle(connection: Connection, opcode: number, data: unknown): void {
    switch (opcode) {
      case Op.Heartbeat:
        connection.lastHeartbeatMs = this.#options.clock.monotonicMs();
        this.#send(connection, Op.HeartbeatAck, undefined);
        return;
      case Op.Identify:
        this.#identify(connection, data);
        return;
      case Op.Resume:
        this.#resume(connection, data);
        return;
      case Op.PresenceUpdate:
      case Op.VoiceStateUpdate:
      case Op.RequestGuildMembers:
      case Op.RequestSoundboardSounds:
        if (connection.session === null)
          connection.socket.close(Close.NotAuthenticated, "Not authenticated.");
        else this.#host.request(connection.session, opcode, data);
        return;
      default:
        connection.socket.close(Close.UnknownOpcode, "Unknown opcode.");
    }
  }

  #identify(connection: Connection, data: unknown): void {
    if (connection.session !== null) {
      connection.socket.close(Close.AlreadyAuthenticated, "Already authenticated.");
      return;
    }
    const parsed = identify.safeParse(data);
    const refusal = parsed.success
      ? this.#refuse(parsed.data)
      : ([Close.DecodeError, "Error while decoding payload."] as const);
    if (!parsed.success || refusal !== null) {
      connection.socket.close(refusal?.[0], refusal?.[1]);
      return;
    }
    if (this.#isTooFast(parsed.data.shard?.[0] ?? 0)) {
      this.#send(connection, Op.InvalidSession, false);
      return;
    }
    this.sessionStartLimit();
    this.#identifiedAtMs.push(this.#options.clock.monotonicMs());
    this.#identifyCount += 1;
    const id = randomBytes(16).toString("hex");
    const session = new GatewaySession(
      id,
      parsed.data.intents,
      parsed.data.shard ?? [0, 1],
      this.#options.faults.wrap((text) => transmit(connection, text)),
    );
    this.#makeRoom();
    this.#sessions.set(id, session);
    connection.session = session;
    this.#host.greet(session);
    this.#host.presenceChanged();
  }

  #refuse(asked: z.infer<typeof identify>): readonly [number, string] | null {
    if (!this.#isToken(asked.token)) return [Close.AuthenticationFailed, "Authentication failed."];
    if ((asked.intents & ~KNOWN_INTENTS) !== 0) return [Close.InvalidIntents, "Invalid intent(s)."];
    if ((asked.intents & this.#options.disallowedIntents) !== 0)
      return [Close.DisallowedIntents, "Disallowed intent(s)."];
    if (asked.shard !== undefined && asked.shard[0] >= asked.shard[1])
      return [Close.InvalidShard, "Invalid shard."];
    if (this.sessionStartLimit().remaining === 0)
      return [Close.AuthenticationFailed, "Authentication failed."];
    return null;
  }

  /** Notes the IDENTIFY of a bucket; one that comes too soon counts, too. */
  #isTooFast(shardId: number): boolean {
    const { maxConcurrency, clock } = this.#options;
    if (maxConcurrency === undefined) return false;
    const now = clock.monotonicMs();
    const before = this.#bucketAtMs.get(shardId % maxConcurrency);
    this.#bucketAtMs.set(shardId % maxConcurrency, now);
    return before !== undefined && now - before < IDENTIFY_INTERVAL_MS;
  }

  #resume(connection: Connection, data: unknown): void {
    const parsed = resume.safeParse(data);
    if (!parsed.success) {
      connection.socket.close(Close.DecodeError, "Error while decoding payload.");
      return;
    }
    if (!this.#isToken(parsed.data.token)) {
      connection.socket.close(Close.AuthenticationFailed, "Authentication failed.");
      return;
    }
    const session = this.#sessions.get(parsed.data.session_id);
    if (session === undefined) {
      this.#send(connection, Op.InvalidSession, false);
      return;
    }
    this.#takeOver(session, connection);
    const result = session.resume(
      parsed.data.seq,
      this.#options.faults.wrap((text) => transmit(connection, text)),
    );
    if (result === "resumed") {
      this.#host.presenceChanged();
      return;
    }
    connection.session = null;
    this.#sessions.delete(session.id);
    if (result === "ahead") connection.socket.close(Close.InvalidSeq, "Invalid seq.");
    else this.#send(connection, Op.InvalidSession, false);
  }

  /** A session has one socket: the newest. */
  #takeOver(session: GatewaySession, connection: Connection): void {
    for (const other of this.#connections) {
      if (other !== connection && other.session === session) {
        other.session = null;
        other.socket.close(Close.SessionTimedOut, "Session resumed elsewhere.");
      }
    }
    connection.session = session;
  }

  #lose(connection: Connection): void {
    if (!this.#connections.delete(connection)) return;
    connection.session?.detach(this.#options.clock.monotonicMs());
    connection.session = null;
    this.#host.presenceChanged();
  }

  #makeRoom(): void {
    if (this.#sessions.size < SESSION_LIMIT) return;
    const oldest = this.sessions.find((session) => session.lostAtMs !== null) ?? this.sessions[0];
    if (oldest !== undefined) this.#sessions.delete(oldest.id);
  }

  #isToken(token: string): boolean {
    return token.replace(/^Bot /, "") === this.#options.botToken;
  }

  #send(connection: Connection, op: number, d: unknown): void {
    transmit(connection, JSON.stringify({ op, t: null, s: null, d: d ?? null }));
  }
}

function transmit({ socket, isSilent }: Connection, text: string): void {
  if (!isSilent) socket.send(text);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
