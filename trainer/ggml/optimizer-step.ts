/** The update of a trained tensor. */
import type { NodeMaker } from "./node-maker.ts";
import type { Tensor } from "./tensor.ts";

/** Updates in place. */
export function optimizerStep(nodes: NodeMaker) {
  return {
    /** One AdamW update of w, m and v in place; see `ggml_opt_step_adamw` for the seven parameters. */
    adamwStep(w: Tensor, gradient: Tensor, m: Tensor, v: Tensor, parameters: Tensor): Tensor {
      for (const other of [gradient, m, v]) nodes.demandSame("opt_step_adamw", w, other);
      nodes.demand(parameters.ne[0] === 7, "opt_step_adamw: 7 parameters", parameters);
      nodes.ggml.ggml_set_param(w.pointer);
      const pointer = nodes.ggml.ggml_opt_step_adamw(
        nodes.context,
        w.pointer,
        gradient.pointer,
        m.pointer,
        v.pointer,
        parameters.pointer,
      );
      return nodes.like(w, pointer);
    },
  };
}
