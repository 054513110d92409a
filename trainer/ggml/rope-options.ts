/** What a rotary embedding depends on beside positions (arXiv 2104.09864). */
import type { Tensor } from "./tensor.ts";

/** How a rotary embedding turns: interleaved pairs, as llama-architecture files want (ggml rope mode 0). */
export type RopeOptions = {
  /** Dimensions turned, even, at most the head's. */
  readonly dimensions: number;
  readonly base: number;
  /** F32 [dimensions / 2] dividing each frequency, or null. */
  readonly frequencyFactors: Tensor | null;
};
