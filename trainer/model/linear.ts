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
 * are only `rank` long or whose operands must be transposed first; measured at 16: four times.
 */
const OUT_PROD_RANK = 32;

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
  const low = operators.scale(operators.mulMat(adapter.a, seen), adapter.scale);
  const addition = isThin(adapter)
    ? operators.outProd(transposedCopy(pass, adapter.b), operators.transpose(low))
    : operators.mulMat(adapter.b, low);
  return { y: operators.add(y, addition), trace: { x, low } };
}

/** From dY [out, tokens]: adds to the gradients, returns dX [in, tokens]. */
export function linearBackward(
  pass: Pass,
  { backward, gradient, adapter }: Linear,
  { x, low }: LinearTrace,
  dy: Tensor,
): Tensor {
  const { operators } = pass;
  if (gradient !== undefined) pass.accumulate(gradient, pass.contract(x, dy));
  const dx = operators.mulMat(backward, dy);
  if (adapter === undefined || low === undefined) return dx;
  // Computed again instead of kept: it is as large as x, and cheap.
  const seen = dropped(pass, adapter, x);
  const dSeen = adapterBackward(pass, adapter, { x: seen, low, dy });
  return operators.add(dx, droppedBackward(pass, adapter, dSeen));
}

/** dB = Σ (scale A x) dyᵀ, dA = Σ x (scale Bᵀ dy)ᵀ, dX = Aᵀ (scale Bᵀ dy). */
function adapterBackward(
  pass: Pass,
  adapter: Adapter,
  { x, low, dy }: { x: Tensor; low: Tensor; dy: Tensor },
): Tensor {
  const { operators } = pass;
  const dLowPlain = operators.mulMat(transposedCopy(pass, adapter.b), dy);
  const dLow = operators.scale(dLowPlain, adapter.scale);
  if (!isThin(adapter)) {
    pass.accumulate(adapter.gradientB, pass.contract(low, dy));
    pass.accumulate(adapter.gradientA, pass.contract(x, dLow));
    return operators.mulMat(transposedCopy(pass, adapter.a), dLow);
  }
  // dBᵀ has the long rows that out_prod wants; the adapter is small enough to turn around.
  pass.accumulate(adapter.gradientB, transposedCopy(pass, operators.outProd(dy, low)));
  pass.accumulate(adapter.gradientA, operators.outProd(x, dLow));
  return operators.outProd(adapter.a, operators.transpose(dLow));
}

function isThin(adapter: Adapter): boolean {
  return adapter.a.ne[1] <= OUT_PROD_RANK;
}

function transposedCopy(pass: Pass, x: Tensor): Tensor {
  return pass.operators.cont(pass.operators.transpose(x));
}
