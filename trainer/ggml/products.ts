/** Matrix products. */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { NodeMaker } from "./node-maker.ts";
import type { ProductScratch } from "./product-scratch.ts";
import { isContiguous, type Tensor } from "./tensor.ts";

/** enum ggml_prec; the CPU sums in F32 in any case. */
const GGML_PREC_F32 = 10;

/** Products, whose needs beside the graph are noted in `scratch`. */
export function products(nodes: NodeMaker, scratch: ProductScratch) {
  return {
    /** a[k, m, …]ᵀ · b[k, n, …] = [m, n, …] in F32; a's outer dimensions repeat over b's. */
    mulMat(a: Tensor, b: Tensor): Tensor {
      const g = nodes.ggml;
      const b16 = a.type === GGML_TYPE.bf16 && b.type === GGML_TYPE.bf16;
      nodes.demand(a.ne[0] === b.ne[0], "mul_mat: equal rows", a, b);
      nodes.demand(b.ne[2] % a.ne[2] === 0 && b.ne[3] % a.ne[3] === 0, "mul_mat: repeats", a, b);
      nodes.demand(b.type === GGML_TYPE.f32 || b16, "mul_mat: F32, or BF16 twice", a, b);
      nodes.demand(a.nb[0] === g.ggml_type_size(a.type), "mul_mat: a not transposed", a, b);
      nodes.demand(isContiguous(g, b), "mul_mat: b contiguous", a, b);
      scratch.note(a, b);
      const product = g.ggml_mul_mat(nodes.context, a.pointer, b.pointer);
      // GPUs sum products of quantised weights in F16 unless told: 65,504 at most, and half of the digits.
      g.ggml_mul_mat_set_prec(product, GGML_PREC_F32);
      return nodes.float(product, [a.ne[1], b.ne[1], b.ne[2], b.ne[3]]);
    },

    /** Σ_t a[m, t] b[n, t] = [m, n], F32, for each outer index. */
    outProd(a: Tensor, b: Tensor): Tensor {
      nodes.demandFloats("out_prod", a, b);
      nodes.demand(a.ne[1] === b.ne[1], "out_prod: equal columns", a, b);
      nodes.demand(b.ne[2] % a.ne[2] === 0 && b.ne[3] % a.ne[3] === 0, "out_prod: repeats", a, b);
      nodes.demand(a.nb[0] === 4, "out_prod: a not transposed", a, b);
      return nodes.float(nodes.ggml.ggml_out_prod(nodes.context, a.pointer, b.pointer), [
        a.ne[0],
        b.ne[0],
        b.ne[2],
        b.ne[3],
      ]);
    },
  };
}
