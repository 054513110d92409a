/** Gives each packet of the gateway its stamp, and remembers those of interactions. */
import { type GatewayDispatchPayload, GatewayDispatchEvents as Name } from "discord.js";
import type { Clock } from "#engine/base/clock.ts";
import { GatewayOrder, type Stamp } from "../../feedback/gateway-order.ts";

/** Interactions whose time is remembered until they are handled. */
const KEPT_INTERACTIONS = 5_000;

/** The stamps of all shards. */
export class Stamps {
  readonly #clock: Clock;
  readonly #shards = new Map<number, GatewayOrder>();
  readonly #interactions = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The packet's stamp; to be asked as soon as it is there. */
  note(packet: GatewayDispatchPayload, shardId: number): Stamp {
    const order = this.#shards.get(shardId) ?? new GatewayOrder();
    this.#shards.set(shardId, order);
    if (packet.t === Name.Ready) order.begin(packet.d.session_id);
    const stamp = order.stamp(packet.s, this.#clock.nowMs());
    if (packet.t === Name.InteractionCreate) this.#keep(packet.d.id, stamp.atMs);
    return stamp;
  }

  /** The stamp of an interaction: its own id, and when the gateway gave it. */
  ofInteraction(interaction: { readonly id: string }): Stamp {
    const atMs = this.#interactions.get(interaction.id) ?? this.#clock.nowMs();
    return { id: interaction.id, atMs };
  }

  /** The stamp of what is read from Discord now; the same session reads a thing once. */
  reading({ id, shardId }: { readonly id: string; readonly shardId: number }): Stamp {
    const nowMs = this.#clock.nowMs();
    return { id: `read.${id}`, atMs: this.#shards.get(shardId)?.readingAtMs(nowMs) ?? nowMs };
  }

  #keep(id: string, atMs: number): void {
    if (!this.#interactions.has(id)) this.#interactions.set(id, atMs);
    const [oldest] = this.#interactions.keys();
    if (this.#interactions.size > KEPT_INTERACTIONS && oldest !== undefined) {
      this.#interactions.delete(oldest);
    }
  }
}
