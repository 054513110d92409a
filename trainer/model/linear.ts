/** Linear layers, with low-rank adapters, forward and backward. */
import type { Tensor } from "../ggml/tensor.ts";
import { dropped, droppedBackward } from "./dropout.ts";
import type { Pass } from "./pass.ts";
import type { Adapter, Linear } from "./weights.ts";

/** What backward needs of a forward pass through a linear layer. */
export type LinearTrace = {
  /** [in, tokens] */
  readonly x: Tensor;
  /** scale · A x [rank, tokens], where there is an adapter. */
  readonly low: Tensor | undefined;
};

/**
 * Up to this rank out_prod, which runs along the long dimension, is faster on the CPU than a mul_mat whose rows
 * are only `rank` long or whose operands must be transposed first; measured at 16: four times. GPUs have no fast
 * one, and Vulkan's takes no transposed operand.
 */
export const OUT_PROD_RANK = 32;

/** W x (+ scale · B A x): [in, tokens] → [out, tokens]. */
export function linearForward(
  pass: Pass,
  { forward, adapter }: Linear,
  x: Tensor,
): { y: Tensor; trace: LinearTrace } {
  const { operators } = pass;
  const y = operators.mulMat(forward, x);
  if (adapter === undefined || pass.reference) return { y, trace: { x, low: undefined } };
  const seen = dropped(pass, adapter, x);
  const low = operators.scale(operators.mulMat(adapter.forwardA, seen), adapter.scale);
  return { y: operators.add(y, fromLow(pass, adapter, low)), trace: { x, low } };
}

/** B low: [rank, tokens] → [out, tokens]. */
export function fromLow(pass: Pass, adapter: Adapter, low: Tensor): Tensor {
  const { operators } = pass;
  return isThin(pass, adapter)
    ? operators.outProd(transposedCopy(pass, adapter.b), operators.transpose(low))
    : operators.mulMat(pass.working(adapter.b), low);
}

/** From dY [out, tokens]: adds to the gradients, returns dX [in, tokens]. */
export function linearBackward(pass: Pass, linear: Linear, trace: LinearTrace, dy: Tensor): Tensor {
  const { operators, graph } = pass;
  const dLow = linearGradients(pass, linear, trace, dy);
  if (linear.backward === undefined) graph.expand(dy);
  const dx = operators.mulMat(pass.turned(linear), dy);
  if (linear.backward === undefined) graph.expand(dx);
  if (dLow === undefined || linear.adapter === undefined) return dx;
  const { a } = linear.adapter;
  const dSeen = isThin(pass, linear.adapter)
    ? operators.outProd(a, operators.transpose(dLow))
    : operators.mulMat(pass.transposed(a), dLow);
  return operators.add(dx, droppedBackward(pass, linear.adapter, dSeen));
}

/** From dY [out, tokens]: adds to the gradients; returns scale · Bᵀ dY [rank, tokens] of an adapter. */
export function linearGradients(
  pass: Pass,
  { gradient, adapter }: Linear,
  { x, low }: LinearTrace,
  dy: Tensor,
): Tensor | undefined {
  if (gradient !== undefined) pass.accumulate(gradient, pass.contract(x, dy));
  if (adapter === undefined || low === undefined) return undefined;
  // Computed again instead of kept: it is as large as x, and cheap.
  const seen = dropped(pass, adapter, x);
  const dLow = throughB(pass, adapter, low, dy);
  // dA = Σ x (scale Bᵀ dy)ᵀ
  const da = isThin(pass, adapter) ? pass.operators.outProd(seen, dLow) : pass.contract(seen, dLow);
  pass.accumulate(adapter.gradientA, da);
  return dLow;
}

/** From dY [out, tokens]: adds to B's gradient; returns scale · Bᵀ dY [rank, tokens]. */
export function throughB(pass: Pass, adapter: Adapter, low: Tensor, dy: Tensor): Tensor {
  const { operators } = pass;
  const dLow = operators.scale(operators.mulMat(adapter.backwardB, dy), adapter.scale);
  // dB = Σ (scale A x) dyᵀ. dBᵀ has the long rows that out_prod wants; the adapter is small enough to turn around.
  const db = isThin(pass, adapter)
    ? transposedCopy(pass, operators.outProd(dy, low))
    : pass.contract(low, dy);
  pass.accumulate(adapter.gradientB, db);
  return dLow;
}

function isThin({ isCpu }: Pass, adapter: Adapter): boolean {
  return isCpu && adapter.a.ne[1] <= OUT_PROD_RANK;
}

function transposedCopy(pass: Pass, x: Tensor): Tensor {
  return pass.operators.cont(pass.operators.transpose(x));
}
