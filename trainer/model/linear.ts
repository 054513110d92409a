/** Linear layers, with low-rank adapters, forward and backward. */
import type { Tensor } from "../ggml/tensor.ts";
import type { Pass } from "./pass.ts";
import type { Adapter, Linear } from "./weights.ts";

/** What backward needs of a forward pass through a linear layer. */
export type LinearTrace = {
  /** [in, tokens] */
  readonly x: Tensor;
  /** A x [rank, tokens], where there is an adapter. */
  readonly low: Tensor | undefined;
};

/** W x (+ scale · B A x): [in, tokens] → [out, tokens]. */
export function linearForward(
  pass: Pass,
  { forward, adapter }: Linear,
  x: Tensor,
): { y: Tensor; trace: LinearTrace } {
  const { operators } = pass;
  const y = operators.mulMat(forward, x);
  if (adapter === undefined || pass.reference) return { y, trace: { x, low: undefined } };
  const low = operators.mulMat(adapter.a, x);
  const addition = operators.mulMat(adapter.b, operators.scale(low, adapter.scale));
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
  return operators.add(dx, adapterBackward(pass, adapter, x, low, dy));
}

/** dB = scale · Σ (A x) dyᵀ, dA = Σ x (scale Bᵀ dy)ᵀ, dX = Aᵀ (scale Bᵀ dy). */
function adapterBackward(pass: Pass, adapter: Adapter, x: Tensor, low: Tensor, dy: Tensor): Tensor {
  const { operators } = pass;
  // Ranks are small, so F32 outer products cost less than transposing x and dy would.
  const dLowPlain = operators.mulMat(operators.cont(operators.transpose(adapter.b)), dy);
  const dLow = operators.scale(dLowPlain, adapter.scale);
  pass.accumulate(adapter.gradientB, operators.outProd(operators.scale(low, adapter.scale), dy));
  pass.accumulate(adapter.gradientA, operators.outProd(x, dLow));
  return operators.mulMat(operators.cont(operators.transpose(adapter.a)), dLow);
}
