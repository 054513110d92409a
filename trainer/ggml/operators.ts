/**
 * All of ggml's operators that training needs, each with its demands checked first. Each adds a node's description;
 * a graph computes it. Sizes are in ggml's order. It knows nothing of layers.
 */
import type { Ggml } from "#engine/native/ggml.ts";
import type { ContextPointer } from "#engine/native/ggml-pointer.ts";
import { copies } from "./copies.ts";
import { elementwise } from "./elementwise.ts";
import { NodeMaker } from "./node-maker.ts";
import { optimizerStep } from "./optimizer-step.ts";
import { ProductScratch } from "./product-scratch.ts";
import { products } from "./products.ts";
import { reductions } from "./reductions.ts";
import { rotary } from "./rotary.ts";
import { rowLookup } from "./row-lookup.ts";
import { rowNorms } from "./row-norms.ts";
import { views } from "./views.ts";

/** Operators in one context. */
export type Operators = ReturnType<typeof openOperators>;

/** The operators that describe their nodes in `context`. */
export function openOperators(ggml: Ggml, context: ContextPointer) {
  const nodes = new NodeMaker(ggml, context);
  const scratch = new ProductScratch();
  return {
    /** What the products built here will take beside the graph's memory. */
    scratch,
    ...products(nodes, scratch),
    ...elementwise(nodes),
    ...reductions(nodes),
    ...rowNorms(nodes),
    ...rotary(nodes),
    ...rowLookup(nodes),
    ...views(nodes),
    ...copies(nodes),
    ...optimizerStep(nodes),
  };
}
