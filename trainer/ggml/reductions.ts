/** Many values as one. */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { NodeMaker } from "./node-maker.ts";
import type { Tensor } from "./tensor.ts";

/** Many values as one. */
export function reductions(nodes: NodeMaker) {
  return {
    /** The sum of all elements, [1]. */
    sum(a: Tensor): Tensor {
      nodes.demandFloats("sum", a);
      return nodes.float(nodes.ggml.ggml_sum(nodes.context, a.pointer), [1, 1, 1, 1]);
    },

    /** The index of each row's greatest element, I32 [rows]. */
    argmax(a: Tensor): Tensor {
      nodes.demandFloats("argmax", a);
      nodes.demand(a.ne[2] === 1 && a.ne[3] === 1, "argmax: a matrix", a);
      const pointer = nodes.ggml.ggml_argmax(nodes.context, a.pointer);
      return nodes.dense(pointer, GGML_TYPE.i32, [a.ne[1], 1, 1, 1]);
    },
  };
}
