/** Rotary positions (arXiv 2104.09864). */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { NodeMaker } from "./node-maker.ts";
import type { RopeOptions } from "./rope-options.ts";
import type { Tensor } from "./tensor.ts";

const ROPE_MODE_NORM = 0;

/** Turns by position, there and back. */
export function rotary(nodes: NodeMaker) {
  return {
    /** Turns x [headDim, heads, tokens, batch] by the positions I32 [tokens]. */
    rope(x: Tensor, positions: Tensor, options: RopeOptions): Tensor {
      return turn(nodes, "ggml_rope_ext", x, positions, options);
    },

    /** Turns back: the gradient of `rope`. */
    ropeBack(dy: Tensor, positions: Tensor, options: RopeOptions): Tensor {
      return turn(nodes, "ggml_rope_ext_back", dy, positions, options);
    },
  };
}

function turn(
  nodes: NodeMaker,
  name: "ggml_rope_ext" | "ggml_rope_ext_back",
  x: Tensor,
  positions: Tensor,
  { dimensions, base, frequencyFactors }: RopeOptions,
): Tensor {
  nodes.demandFloats(name, x);
  nodes.demand(positions.type === GGML_TYPE.i32, `${name}: I32 positions`, positions);
  nodes.demand(positions.ne[0] === x.ne[2], `${name}: a position a token`, x, positions);
  nodes.demand(dimensions % 2 === 0 && dimensions <= x.ne[0], `${name}: ${dimensions}`, x);
  const factors = frequencyFactors === null ? null : frequencyFactors.pointer;
  const pointer = nodes.ggml[name](
    nodes.context,
    x.pointer,
    positions.pointer,
    factors,
    dimensions,
    ROPE_MODE_NORM,
    0,
    base,
    1,
    0,
    1,
    0,
    0,
  );
  return nodes.float(pointer, x.ne);
}
