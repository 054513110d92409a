/** Copies: without gaps, in another type, into other memory. */
import type { NodeMaker } from "./node-maker.ts";
import { countElements, isContiguous, isFloat, sameSizes, type Tensor } from "./tensor.ts";

/** Copies of tensors. */
export function copies(nodes: NodeMaker) {
  return {
    /** A gapless copy in the same type. */
    cont(a: Tensor): Tensor {
      return gapless(nodes, a);
    },

    /** A gapless copy in another float type. */
    cast(a: Tensor, type: number): Tensor {
      nodes.demand(isFloat(a.type) && isFloat(type), "cpy: floats", a);
      if (a.type === type) return gapless(nodes, a);
      return nodes.dense(nodes.ggml.ggml_cast(nodes.context, a.pointer, type), type, a.ne);
    },

    /** Copies a into the memory of `to`, converting floats. */
    copyInto(a: Tensor, to: Tensor): Tensor {
      const floats = isFloat(a.type) && isFloat(to.type);
      nodes.demand(floats && countElements(a.ne) === countElements(to.ne), "cpy", a, to);
      return nodes.like(to, nodes.ggml.ggml_cpy(nodes.context, a.pointer, to.pointer));
    },

    /**
     * b written over the part of a that `place`, a view of a, shows; returns a as it is then. What reads a later must
     * read this result: a node that nothing reads is never done with, and its memory would be held to the end.
     */
    setInto(a: Tensor, b: Tensor, place: Tensor): Tensor {
      return writeAt(nodes, "ggml_set_inplace", a, b, place);
    },

    /** b added to the part of a that `place`, a view of a, shows; returns a as it is then, as `setInto` does. */
    addAt(a: Tensor, b: Tensor, place: Tensor): Tensor {
      return writeAt(nodes, "ggml_acc_inplace", a, b, place);
    },
  };
}

function gapless(nodes: NodeMaker, a: Tensor): Tensor {
  const pointer = nodes.ggml.ggml_cont(nodes.context, a.pointer);
  return nodes.dense(pointer, a.type, a.ne);
}

function writeAt(
  nodes: NodeMaker,
  name: "ggml_set_inplace" | "ggml_acc_inplace",
  a: Tensor,
  b: Tensor,
  place: Tensor,
): Tensor {
  nodes.demandFloats(name, a, b, place);
  const dense = isContiguous(nodes.ggml, a) && isContiguous(nodes.ggml, b);
  nodes.demand(dense, `${name}: contiguous`, a, b);
  nodes.demand(sameSizes(b, place) && place.nb[0] === 4, `${name}: equal sizes`, b, place);
  const [, nb1, nb2, nb3] = place.nb;
  const at = place.offset ?? 0;
  const pointer = nodes.ggml[name](nodes.context, a.pointer, b.pointer, nb1, nb2, nb3, at);
  return nodes.like(a, pointer);
}
