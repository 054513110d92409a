/** How strongly an adapter's product counts, and how a file says it. Pure. */
import type { LoraOptions } from "./trainable.ts";

/** What the scale follows from. */
type ScaleOptions = Pick<LoraOptions, "rank" | "alpha" | "scaling">;

/** The factor of B A x: α / rank (arXiv 2106.09685 sec. 4.1), rank-stabilised α / √rank (arXiv 2312.03732). */
export function loraScale({ rank, alpha, scaling = "lora" }: ScaleOptions): number {
  return alpha / (scaling === "rslora" ? Math.sqrt(rank) : rank);
}

/**
 * The α of an adapter's file: llama.cpp always applies α / rank (llama-adapter.h, get_scale), so a
 * rank-stabilised adapter is written with α √rank.
 */
export function fileAlpha(options: ScaleOptions): number {
  return loraScale(options) * options.rank;
}
