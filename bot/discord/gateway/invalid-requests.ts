/**
 * A circuit over the REST API: Discord bans an address after 10,000 invalid requests (401, 403 and 429) in
 * ten minutes; at a tenth of that, of all processes together, nothing more is sent until they are over.
 * https://discord.com/developers/docs/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans
 */
import type { Clock } from "#engine/base/clock.ts";
import { CodedError } from "#engine/base/errors.ts";
import type { Logger } from "#engine/base/log.ts";
import type { GatewayLedger } from "./gateway-ledger.ts";

/** Invalid requests at which the circuit opens. */
export const INVALID_LIMIT = 1_000;
const WINDOW_MS = 10 * 60_000;
const INVALID: ReadonlySet<number> = new Set([401, 403, 429]);

type Answer = { readonly status: number; readonly headers: { get(name: string): string | null } };

/** Counts, and opens. */
export class InvalidRequestCircuit {
  readonly #ledger: GatewayLedger;
  readonly #clock: Clock;
  readonly #log: Logger;

  constructor(ledger: GatewayLedger, clock: Clock, log: Logger) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#log = log;
  }

  /** Whether nothing is sent now. */
  get isOpen(): boolean {
    const { count, endsAtMs } = this.#ledger.refusals();
    const leftMs = endsAtMs - this.#clock.nowMs();
    return count >= INVALID_LIMIT && leftMs > 0 && leftMs <= WINDOW_MS;
  }

  /**
   * A way of sending that counts, and refuses while the circuit is open.
   * @throws CodedError `discord_circuit_open`
   */
  guard<Parameters extends unknown[], Reply extends Answer>(
    send: (...parameters: Parameters) => Promise<Reply>,
  ): (...parameters: Parameters) => Promise<Reply> {
    return async (...parameters) => {
      if (this.isOpen) {
        throw new CodedError(
          `Discord refused ${INVALID_LIMIT} requests within ten minutes (401, 403 or 429). Nothing is sent until that time is over, since Discord bans addresses that go on. Look at the log for what was refused.`,
          { code: "discord_circuit_open" },
        );
      }
      const answer = await send(...parameters);
      this.#note(answer);
      return answer;
    };
  }

  #note({ status, headers }: Answer): void {
    // Limits that all applications share do not count.
    if (!INVALID.has(status) || headers.get("x-ratelimit-scope") === "shared") return;
    const now = this.#clock.nowMs();
    const { count, endsAtMs } = this.#ledger.noteRefusal(now, WINDOW_MS);
    if (count === INVALID_LIMIT) {
      this.#log.error(
        { count, forMs: endsAtMs - now },
        "Too many requests were refused: nothing is sent for a while",
      );
    }
  }
}
