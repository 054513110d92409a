/** What looks at each row as a whole: RMSNorm and softmax. */
import type { NodeMaker } from "./node-maker.ts";
import { isContiguous, type Tensor } from "./tensor.ts";

/** Rows normed, and their gradients. */
export function rowNorms(nodes: NodeMaker) {
  return {
    /** x / √(mean x² + eps) for each row. */
    rmsNorm(x: Tensor, eps: number): Tensor {
      nodes.demandFloats("rms_norm", x);
      return nodes.float(nodes.ggml.ggml_rms_norm(nodes.context, x.pointer, eps), x.ne);
    },

    /** The gradient for x of `rmsNorm(x, eps)` whose own gradient is dy. */
    rmsNormBack(dy: Tensor, x: Tensor, eps: number): Tensor {
      nodes.demandSame("rms_norm_back", dy, x);
      const pointer = nodes.ggml.ggml_rms_norm_back(nodes.context, dy.pointer, x.pointer, eps);
      return nodes.like(dy, pointer);
    },

    /** softmax(scale · a + mask) over each row; the mask [columns, rows] repeats over a's outer dimensions. */
    softMax(a: Tensor, mask: Tensor | null, scale: number): Tensor {
      const g = nodes.ggml;
      nodes.demandFloats("soft_max", a);
      nodes.demand(isContiguous(g, a), "soft_max: contiguous", a);
      if (mask !== null) {
        nodes.demandFloats("soft_max", mask);
        nodes.demand(isContiguous(g, mask), "soft_max: contiguous mask", mask);
        nodes.demand(mask.ne[0] === a.ne[0] && mask.ne[1] >= a.ne[1], "soft_max: mask", a, mask);
        nodes.demand(a.ne[2] % mask.ne[2] === 0 && a.ne[3] % mask.ne[3] === 0, "soft_max", a, mask);
      }
      const at = mask === null ? null : mask.pointer;
      return nodes.like(a, g.ggml_soft_max_ext(nodes.context, a.pointer, at, scale, 0));
    },

    /**
     * The gradient for a of `softMax(a, mask, scale)` = p whose own gradient is dp.
     * It must not run in place over p: p has to be read by a later node too.
     */
    softMaxBack(dp: Tensor, p: Tensor, scale: number): Tensor {
      nodes.demandSame("soft_max_back", dp, p);
      const pointer = nodes.ggml.ggml_soft_max_ext_back(
        nodes.context,
        dp.pointer,
        p.pointer,
        scale,
        0,
      );
      return nodes.like(dp, pointer);
    },
  };
}
