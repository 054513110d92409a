/** The same memory under other sizes: nothing is computed. */
import type { NodeMaker } from "./node-maker.ts";
import { countElements, type Four, four, isContiguous, type Tensor } from "./tensor.ts";

/** Views of tensors. */
export function views(nodes: NodeMaker) {
  return {
    /** The same memory under other sizes. */
    reshape(a: Tensor, ...ne: readonly number[]): Tensor {
      const sizes = four(ne);
      nodes.demand(isContiguous(nodes.ggml, a), "reshape: contiguous", a);
      nodes.demand(countElements(sizes) === countElements(a.ne), `reshape to [${ne}]`, a);
      const pointer = nodes.ggml.ggml_reshape_4d(nodes.context, a.pointer, ...sizes);
      return { ...nodes.dense(pointer, a.type, sizes), offset: a.offset ?? 0 };
    },

    /** Indices [from, from + count) of one dimension, the same memory; of dimension 0 in plain types only. */
    slice(a: Tensor, dimension: 0 | 1 | 2 | 3, from: number, count: number): Tensor {
      nodes.demand(from >= 0 && count > 0 && from + count <= a.ne[dimension], "view: in range", a);
      const ne = four(a.ne.map((size, i) => (i === dimension ? count : size)));
      return nodes.view(a, ne, a.nb, from * a.nb[dimension]);
    },

    /** Indices 0, step, 2 · step, … of the outermost dimension, the same memory. */
    everyNth(a: Tensor, step: number): Tensor {
      const [n0, n1, n2, n3] = a.ne;
      const [nb0, nb1, nb2, nb3] = a.nb;
      nodes.demand(step >= 1 && n3 % step === 0, `view: a multiple of ${step}`, a);
      return nodes.view(a, [n0, n1, n2, n3 / step], [nb0, nb1, nb2, nb3 * step], 0);
    },

    /** The same memory with dimensions moved: dimension i of a becomes dimension axes[i]. */
    permute(a: Tensor, axes: Four): Tensor {
      return permute(nodes, a, axes);
    },

    /** Rows become columns, the same memory. */
    transpose(a: Tensor): Tensor {
      return permute(nodes, a, [1, 0, 2, 3]);
    },
  };
}

function permute(nodes: NodeMaker, a: Tensor, axes: Four): Tensor {
  const at = (list: Four, axis: number) => list[axes.indexOf(axis)] ?? 1;
  const pointer = nodes.ggml.ggml_permute(nodes.context, a.pointer, ...axes);
  return {
    ...a,
    pointer,
    ne: [at(a.ne, 0), at(a.ne, 1), at(a.ne, 2), at(a.ne, 3)],
    nb: [at(a.nb, 0), at(a.nb, 1), at(a.nb, 2), at(a.nb, 3)],
  };
}
