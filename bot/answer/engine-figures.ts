/** The few figures of the engine that an answer needs, asked for now and then. */
import { type Clock, systemClock } from "#engine/base/clock.ts";
import type { EngineClient } from "#engine/client/engine-client.ts";

/** What serves. */
export type EngineFigures = {
  readonly modelId: string;
  readonly contextTokens: number;
  /** Whether pictures may be sent. */
  readonly seesImages: boolean;
  /** The one that serves by default; null: the bare weights. */
  readonly adapter: string | null;
  /** Changes when the engine judges by other rules. */
  readonly policy: string;
};

const FRESH_MS = 30_000;
const TIMEOUT_MS = 5_000;

/**
 * A function that gives the engine's figures, at most half a minute old.
 * @returns a function that throws CodedError `engine_unreachable`
 */
export function cacheEngineFigures(
  engine: Pick<EngineClient, "health">,
  clock: Clock = systemClock,
): () => Promise<EngineFigures> {
  let cached: { readonly figures: EngineFigures; readonly atMs: number } | undefined;
  return async () => {
    if (cached !== undefined && clock.monotonicMs() - cached.atMs < FRESH_MS) return cached.figures;
    const { model, adapter, policy } = await engine.health(AbortSignal.timeout(TIMEOUT_MS));
    const figures = {
      modelId: model.id,
      contextTokens: model.context_tokens,
      seesImages: model.input_modalities.includes("image"),
      adapter,
      policy,
    };
    cached = { figures, atMs: clock.monotonicMs() };
    return figures;
  };
}
