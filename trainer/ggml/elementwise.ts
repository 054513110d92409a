/** What is computed element by element, activations among it. */
import type { NodeMaker } from "./node-maker.ts";
import { isContiguous, sameSizes, type Tensor } from "./tensor.ts";

/** Element by element. */
export function elementwise(nodes: NodeMaker) {
  return {
    /** a + b of equal sizes. */
    add(a: Tensor, b: Tensor): Tensor {
      nodes.demandSame("add", a, b);
      return nodes.like(a, nodes.ggml.ggml_add(nodes.context, a.pointer, b.pointer));
    },

    /** a + b written over a, which may be a slice. */
    addInto(a: Tensor, b: Tensor): Tensor {
      nodes.demandFloats("add_inplace", a, b);
      nodes.demand(sameSizes(a, b), "add_inplace: equal sizes", a, b);
      return nodes.like(a, nodes.ggml.ggml_add_inplace(nodes.context, a.pointer, b.pointer));
    },

    /** a · b element by element; b repeats where its dimension divides a's. */
    mul(a: Tensor, b: Tensor): Tensor {
      nodes.demandRepeat("mul", a, b);
      return nodes.float(nodes.ggml.ggml_mul(nodes.context, a.pointer, b.pointer), a.ne);
    },

    /** a · b written over a. */
    mulInto(a: Tensor, b: Tensor): Tensor {
      nodes.demandRepeat("mul_inplace", a, b);
      return nodes.like(a, nodes.ggml.ggml_mul_inplace(nodes.context, a.pointer, b.pointer));
    },

    /** factor · a + summand, numbers. */
    scale(a: Tensor, factor: number, summand = 0): Tensor {
      nodes.demandFloats("scale_bias", a);
      nodes.demand(isContiguous(nodes.ggml, a), "scale_bias: contiguous", a);
      return nodes.like(a, nodes.ggml.ggml_scale_bias(nodes.context, a.pointer, factor, summand));
    },

    /** Natural logarithm. */
    log(a: Tensor): Tensor {
      nodes.demandFloats("log", a);
      return nodes.float(nodes.ggml.ggml_log(nodes.context, a.pointer), a.ne);
    },

    /** silu(gate) · up */
    swiglu(gate: Tensor, up: Tensor): Tensor {
      nodes.demandSame("swiglu_split", gate, up);
      const pointer = nodes.ggml.ggml_swiglu_split(nodes.context, gate.pointer, up.pointer);
      return nodes.float(pointer, gate.ne);
    },

    /** x · sigmoid(x) */
    silu(x: Tensor): Tensor {
      nodes.demandFloats("silu", x);
      nodes.demand(isContiguous(nodes.ggml, x), "silu: contiguous", x);
      return nodes.like(x, nodes.ggml.ggml_silu(nodes.context, x.pointer));
    },

    /** The gradient for x of silu(x) whose own gradient is dy. */
    siluBack(dy: Tensor, x: Tensor): Tensor {
      nodes.demandSame("silu_back", dy, x);
      return nodes.like(x, nodes.ggml.ggml_silu_back(nodes.context, dy.pointer, x.pointer));
    },
  };
}
