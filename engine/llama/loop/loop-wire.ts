/**
 * What the thread that serves requests and the thread that decodes tell each other. Everything is copied on its way.
 */
import { CodedError, type ErrorCode, isCoded } from "../../base/errors.ts";
import type { LlamaAdapterPointer } from "../../native/llama-struct.ts";
import type { WeightsAddress } from "../weights.ts";
import type { LaneShape } from "./lane-opener.ts";
import type { LaneStats } from "./lane-stats.ts";
import type { CompletionRequest, StreamEvent } from "./stream.ts";

/** Where idle conversations' KV goes, and how many bytes of it. */
export type Parking = { readonly folder: string; readonly limitBytes: number };

/** What a decoding thread begins with. */
export type LoopStart = {
  readonly weights: WeightsAddress;
  readonly shape: LaneShape;
  readonly parking: Parking | undefined;
};

/** To the decoding thread. Each `adapter` is answered by a `done`, `close` by the thread's end. */
export type ToLoop =
  | { readonly type: "submit"; readonly id: number; readonly request: CompletionRequest }
  | { readonly type: "abort"; readonly id: number }
  | {
      readonly type: "adapter";
      readonly call: number;
      readonly name: string;
      /** Null takes the name's adapter away. */
      readonly adapter: LlamaAdapterPointer | null;
    }
  | { readonly type: "close" };

/** From the decoding thread: what a step brought to all its completions is one message, with the figures after it. */
export type FromLoop =
  | {
      readonly type: "news";
      readonly news: readonly StreamNews[];
      readonly figures: LoopFigures;
    }
  | { readonly type: "done"; readonly call: number; readonly failure: WireError | undefined };

/** One event of a completion, or the error that ended it. */
export type StreamNews =
  | { readonly id: number; readonly event: StreamEvent }
  | { readonly id: number; readonly failure: WireError };

/** An error without what cannot be copied. */
export type WireError = { readonly message: string; readonly code: ErrorCode | undefined };

/** Makes an error fit for the way. */
export function toWire(error: unknown): WireError {
  const message = error instanceof Error ? error.message : String(error);
  return { message, code: isCoded(error) ? error.code : undefined };
}

/** The error that `toWire` was given, without its trace. */
export function fromWire({ message, code }: WireError): Error {
  return code === undefined ? new Error(message) : new CodedError(message, { code });
}

/** The loop's figures since it began, and what its caches hold now. */
export type LoopFigures = {
  readonly lanes: LaneStats;
  readonly cells: { readonly total: number; readonly used: number };
  readonly parked: {
    readonly conversations: number;
    readonly bytes: number;
    readonly returned: number;
  };
};

/** Before anything was computed. */
export const NO_FIGURES: LoopFigures = {
  lanes: { decodes: 0, tokens: 0, microBatches: 0, sequences: 0, reusedTokens: 0 },
  cells: { total: 0, used: 0 },
  parked: { conversations: 0, bytes: 0, returned: 0 },
};

/** Whether nothing changed between them. */
export function sameFigures(a: LoopFigures, b: LoopFigures): boolean {
  return (
    a.lanes.decodes === b.lanes.decodes &&
    a.lanes.reusedTokens === b.lanes.reusedTokens &&
    a.cells.total === b.cells.total &&
    a.cells.used === b.cells.used &&
    a.parked.conversations === b.parked.conversations &&
    a.parked.bytes === b.parked.bytes &&
    a.parked.returned === b.parked.returned
  );
}
