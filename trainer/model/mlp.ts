/** The SwiGLU feed-forward part of a block, forward and backward (arXiv 2002.05202). */
import type { Tensor } from "../ggml/tensor.ts";
import { type LinearTrace, linearBackward, linearForward } from "./linear.ts";
import { type NormTrace, normBackward, normForward } from "./norm.ts";
import type { Pass } from "./pass.ts";
import { siblingsBackward, siblingsForward } from "./siblings.ts";
import type { Block } from "./weights.ts";

/** What backward needs; `gateY` and `upY` are the linear layers' results [nFf, tokens]. */
export type MlpTrace = {
  readonly norm: NormTrace;
  readonly gateUp: readonly LinearTrace[];
  readonly down: LinearTrace;
  readonly gateY: Tensor;
  readonly upY: Tensor;
};

/** x + down(silu(gate(n)) · up(n)) with n = norm(x), [d, tokens]. */
export function mlpForward(pass: Pass, block: Block, x: Tensor): { y: Tensor; trace: MlpTrace } {
  const { operators } = pass;
  const norm = normForward(pass, block.ffnNorm, x);
  const [gate, up] = siblingsForward(pass, block.gateUp, norm.y);
  if (gate === undefined || up === undefined) throw new Error("expected gate and up");
  const down = linearForward(pass, block.down, operators.swiglu(gate.y, up.y));
  return {
    y: operators.add(x, down.y),
    trace: {
      norm: norm.trace,
      gateUp: [gate.trace, up.trace],
      down: down.trace,
      gateY: gate.y,
      upY: up.y,
    },
  };
}

/** From dY [d, tokens]: adds to the gradients, returns dX. */
export function mlpBackward(pass: Pass, block: Block, trace: MlpTrace, dy: Tensor): Tensor {
  const { operators } = pass;
  const dh = linearBackward(pass, block.down, trace.down, dy);
  const dUp = operators.swiglu(trace.gateY, dh);
  const dGate = operators.siluBack(operators.mul(dh, trace.upY), trace.gateY);
  const dn = siblingsBackward(pass, block.gateUp, trace.gateUp, [dGate, dUp]);
  return operators.add(dy, normBackward(pass, block.ffnNorm, trace.norm, dn));
}
