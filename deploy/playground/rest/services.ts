/** What the REST routes work on. */
import type { Logger } from "#engine/base/log.ts";
import type { Faults } from "../faults.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { InteractionDesk } from "../interactions/desk.ts";
import type { World } from "../world/world.ts";
import type { RateLimits } from "./rate-limits.ts";

/** Handed to each group of routes. */
export type RestServices = {
  readonly world: World;
  readonly desk: InteractionDesk;
  readonly gateway: Gateway;
  readonly limits: RateLimits;
  readonly faults: Faults;
  readonly botToken: string;
  readonly log: Logger;
  /** `http://host:port` of this server */
  readonly baseUrl: () => string;
  /** `ws://host:port/gateway` */
  readonly gatewayUrl: () => string;
  /** A folder to write each request down in. */
  readonly recordTo?: string | undefined;
};

/** An empty answer. It must carry no JSON content type: clients would try to parse nothing. */
export function noContent(): Response {
  return new Response(null, { status: 204 });
}
