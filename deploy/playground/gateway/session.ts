/** One bot session: its sequence numbers and what a resume replays. Knows nothing of what is sent. */
import type { GatewayIntentBits } from "discord-api-types/v10";

/** Events kept for a resume; a session that missed more has to identify anew. */
const REPLAY_LIMIT = 5_000;

/** Sends one text frame to the client. */
export type Send = (text: string) => void;

/** What survives the loss of a session's socket. */
export class GatewaySession {
  readonly id: string;
  /** Bits of `GatewayIntentBits`. */
  readonly intents: number;
  /** `[index, count]` */
  readonly shard: readonly [number, number];
  #sequence = 0;
  #sent: string[] = [];
  #send: Send | null;
  /** When the socket was lost; null while it is there. */
  lostAtMs: number | null = null;

  constructor(id: string, intents: number, shard: readonly [number, number], send: Send) {
    this.id = id;
    this.intents = intents;
    this.shard = shard;
    this.#send = send;
  }

  /** Whether the client asked for this group of events. */
  wants(intent: GatewayIntentBits): boolean {
    return (this.intents & intent) !== 0;
  }

  /** Numbers an event, keeps it for a resume and sends it if the socket is there. */
  dispatch(name: string, data: unknown): void {
    this.#sequence += 1;
    const text = JSON.stringify({ op: 0, t: name, s: this.#sequence, d: data });
    this.#sent.push(text);
    if (this.#sent.length > REPLAY_LIMIT) this.#sent.shift();
    this.#send?.(text);
  }

  /** The socket is gone; events are kept from here on. */
  detach(nowMs: number): void {
    this.#send = null;
    this.lostAtMs = nowMs;
  }

  /**
   * Replays what came after `sequence` on a new socket.
   * @returns "resumed", "expired" when too much was missed, "ahead" for a number not reached yet
   */
  resume(sequence: number, send: Send): "resumed" | "expired" | "ahead" {
    if (sequence > this.#sequence) return "ahead";
    const missed = this.#sequence - sequence;
    if (missed > this.#sent.length) return "expired";
    this.#send = send;
    this.lostAtMs = null;
    for (const text of this.#sent.slice(this.#sent.length - missed)) send(text);
    this.dispatch("RESUMED", { _trace: [] });
    return "resumed";
  }
}
