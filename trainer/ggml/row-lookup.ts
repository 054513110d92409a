/** Rows by their indices. */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { NodeMaker } from "./node-maker.ts";
import type { Tensor } from "./tensor.ts";

/** Rows by their indices. */
export function rowLookup(nodes: NodeMaker) {
  return {
    /** Rows of a by I32 indices: a [n, rows, x], indices [k, x] → F32 [n, k, x]. Indices must be in range. */
    getRows(a: Tensor, indices: Tensor): Tensor {
      nodes.demand(indices.type === GGML_TYPE.i32, "get_rows: I32 indices", indices);
      nodes.demand(a.ne[2] === indices.ne[1] && a.ne[3] === indices.ne[2], "get_rows", a, indices);
      return nodes.float(nodes.ggml.ggml_get_rows(nodes.context, a.pointer, indices.pointer), [
        a.ne[0],
        indices.ne[0],
        indices.ne[1],
        indices.ne[2],
      ]);
    },

    /** Sums gradient rows [n, k] into the rows that `getRows` read: [n, rows]. */
    getRowsBack(dy: Tensor, indices: Tensor, like: Tensor): Tensor {
      nodes.demandFloats("get_rows_back", dy, like);
      nodes.demand(indices.type === GGML_TYPE.i32, "get_rows_back: I32 indices", indices);
      nodes.demand(
        dy.ne[0] === like.ne[0] && dy.ne[1] === indices.ne[0],
        "get_rows_back",
        dy,
        like,
      );
      nodes.demand(dy.ne[2] === 1 && like.ne[2] === 1, "get_rows_back: matrices", dy, like);
      const pointer = nodes.ggml.ggml_get_rows_back(
        nodes.context,
        dy.pointer,
        indices.pointer,
        like.pointer,
      );
      return nodes.float(pointer, [like.ne[0], like.ne[1], 1, 1]);
    },

    /** Writes rows [n, k, x] over rows of a [n, rows, x] by I32 indices [k, x]; returns a view of a. */
    setRows(a: Tensor, rows: Tensor, indices: Tensor): Tensor {
      nodes.demandFloats("set_rows", a, rows);
      nodes.demand(a.ne[0] === rows.ne[0] && a.ne[2] === rows.ne[2], "set_rows", a, rows);
      nodes.demand(indices.type === GGML_TYPE.i32, "set_rows: I32 indices", indices);
      nodes.demand(
        rows.ne[1] === indices.ne[0] && rows.ne[2] === indices.ne[1],
        "set_rows",
        rows,
        indices,
      );
      const pointer = nodes.ggml.ggml_set_rows(
        nodes.context,
        a.pointer,
        rows.pointer,
        indices.pointer,
      );
      return nodes.like(a, pointer);
    },
  };
}
