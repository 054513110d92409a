/** RMSNorm with its weight, forward and backward (arXiv 1910.07467). */
import type { Tensor } from "../ggml/tensor.ts";
import type { Pass } from "./pass.ts";
import type { Norm } from "./weights.ts";

/** What backward needs: the input, and the input over its root mean square, both [d, tokens]. */
export type NormTrace = { readonly x: Tensor; readonly normal: Tensor };

/** x / rms(x) · weight, [d, tokens]. */
export function normForward(pass: Pass, norm: Norm, x: Tensor): { y: Tensor; trace: NormTrace } {
  const normal = pass.operators.rmsNorm(x, pass.shape.rmsEps);
  return { y: pass.operators.mul(normal, norm.weight), trace: { x, normal } };
}

/** From dY: adds to the weight's gradient, returns dX, [d, tokens]. */
export function normBackward(pass: Pass, norm: Norm, trace: NormTrace, dy: Tensor): Tensor {
  const { operators } = pass;
  if (norm.gradient !== undefined) {
    const ones = operators.slice(pass.inputs.ones, 1, 0, dy.ne[1]);
    const product = operators.mul(dy, trace.normal);
    pass.accumulate(norm.gradient, operators.outProd(product, ones));
  }
  return operators.rmsNormBack(operators.mul(dy, norm.weight), trace.x, pass.shape.rmsEps);
}
