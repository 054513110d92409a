/**
 * ggml's operators with their demands checked first. Each adds a node's description; a graph computes it.
 * Sizes are in ggml's order. It knows nothing of layers.
 */
import { GGML_TYPE, type Ggml } from "#engine/native/ggml.ts";
import type { ContextPointer, TensorPointer } from "#engine/native/ggml-pointer.ts";
import { ProductScratch } from "./product-scratch.ts";
import type { RopeOptions } from "./rope-options.ts";
import {
  contiguousStrides,
  countElements,
  describeTensor,
  type Four,
  four,
  isContiguous,
  isFloat,
  sameSizes,
  type Tensor,
} from "./tensor.ts";

const ROPE_MODE_NORM = 0;

/** Operators in one context. */
export class Operators {
  readonly #ggml: Ggml;
  readonly #context: ContextPointer;
  /** What the products built here will take beside the graph's memory. */
  readonly scratch = new ProductScratch();

  constructor(ggml: Ggml, context: ContextPointer) {
    this.#ggml = ggml;
    this.#context = context;
  }

  /** a[k, m, …]ᵀ · b[k, n, …] = [m, n, …] in F32; a's outer dimensions repeat over b's. */
  mulMat(a: Tensor, b: Tensor): Tensor {
    const g = this.#ggml;
    const b16 = a.type === GGML_TYPE.bf16 && b.type === GGML_TYPE.bf16;
    this.#demand(a.ne[0] === b.ne[0], "mul_mat: equal rows", a, b);
    this.#demand(b.ne[2] % a.ne[2] === 0 && b.ne[3] % a.ne[3] === 0, "mul_mat: repeats", a, b);
    this.#demand(b.type === GGML_TYPE.f32 || b16, "mul_mat: F32, or BF16 twice", a, b);
    this.#demand(a.nb[0] === g.ggml_type_size(a.type), "mul_mat: a not transposed", a, b);
    this.#demand(isContiguous(g, b), "mul_mat: b contiguous", a, b);
    this.scratch.note(a, b);
    return this.#float(g.ggml_mul_mat(this.#context, a.pointer, b.pointer), [
      a.ne[1],
      b.ne[1],
      b.ne[2],
      b.ne[3],
    ]);
  }

  /** Σ_t a[m, t] b[n, t] = [m, n], F32, for each outer index. */
  outProd(a: Tensor, b: Tensor): Tensor {
    this.#demandFloats("out_prod", a, b);
    this.#demand(a.ne[1] === b.ne[1], "out_prod: equal columns", a, b);
    this.#demand(b.ne[2] % a.ne[2] === 0 && b.ne[3] % a.ne[3] === 0, "out_prod: repeats", a, b);
    this.#demand(a.nb[0] === 4, "out_prod: a not transposed", a, b);
    return this.#float(this.#ggml.ggml_out_prod(this.#context, a.pointer, b.pointer), [
      a.ne[0],
      b.ne[0],
      b.ne[2],
      b.ne[3],
    ]);
  }

  /** a + b of equal sizes. */
  add(a: Tensor, b: Tensor): Tensor {
    this.#demandSame("add", a, b);
    return this.#like(a, this.#ggml.ggml_add(this.#context, a.pointer, b.pointer));
  }

  /** a + b written over a, which may be a slice. */
  addInto(a: Tensor, b: Tensor): Tensor {
    this.#demandFloats("add_inplace", a, b);
    this.#demand(sameSizes(a, b), "add_inplace: equal sizes", a, b);
    return this.#like(a, this.#ggml.ggml_add_inplace(this.#context, a.pointer, b.pointer));
  }

  /** a · b element by element; b repeats where its dimension divides a's. */
  mul(a: Tensor, b: Tensor): Tensor {
    this.#demandRepeat("mul", a, b);
    return this.#float(this.#ggml.ggml_mul(this.#context, a.pointer, b.pointer), a.ne);
  }

  /** a · b written over a. */
  mulInto(a: Tensor, b: Tensor): Tensor {
    this.#demandRepeat("mul_inplace", a, b);
    return this.#like(a, this.#ggml.ggml_mul_inplace(this.#context, a.pointer, b.pointer));
  }

  /** factor · a + summand, numbers. */
  scale(a: Tensor, factor: number, summand = 0): Tensor {
    this.#demandFloats("scale_bias", a);
    this.#demand(isContiguous(this.#ggml, a), "scale_bias: contiguous", a);
    return this.#like(a, this.#ggml.ggml_scale_bias(this.#context, a.pointer, factor, summand));
  }

  /** Natural logarithm. */
  log(a: Tensor): Tensor {
    this.#demandFloats("log", a);
    return this.#float(this.#ggml.ggml_log(this.#context, a.pointer), a.ne);
  }

  /** The sum of all elements, [1]. */
  sum(a: Tensor): Tensor {
    this.#demandFloats("sum", a);
    return this.#float(this.#ggml.ggml_sum(this.#context, a.pointer), [1, 1, 1, 1]);
  }

  /** The index of each row's greatest element, I32 [rows]. */
  argmax(a: Tensor): Tensor {
    this.#demandFloats("argmax", a);
    this.#demand(a.ne[2] === 1 && a.ne[3] === 1, "argmax: a matrix", a);
    const pointer = this.#ggml.ggml_argmax(this.#context, a.pointer);
    return this.#dense(pointer, GGML_TYPE.i32, [a.ne[1], 1, 1, 1]);
  }

  /** x / √(mean x² + eps) for each row. */
  rmsNorm(x: Tensor, eps: number): Tensor {
    this.#demandFloats("rms_norm", x);
    return this.#float(this.#ggml.ggml_rms_norm(this.#context, x.pointer, eps), x.ne);
  }

  /** The gradient for x of `rmsNorm(x, eps)` whose own gradient is dy. */
  rmsNormBack(dy: Tensor, x: Tensor, eps: number): Tensor {
    this.#demandSame("rms_norm_back", dy, x);
    const pointer = this.#ggml.ggml_rms_norm_back(this.#context, dy.pointer, x.pointer, eps);
    return this.#like(dy, pointer);
  }

  /** silu(gate) · up */
  swiglu(gate: Tensor, up: Tensor): Tensor {
    this.#demandSame("swiglu_split", gate, up);
    const pointer = this.#ggml.ggml_swiglu_split(this.#context, gate.pointer, up.pointer);
    return this.#float(pointer, gate.ne);
  }

  /** x · sigmoid(x) */
  silu(x: Tensor): Tensor {
    this.#demandFloats("silu", x);
    this.#demand(isContiguous(this.#ggml, x), "silu: contiguous", x);
    return this.#like(x, this.#ggml.ggml_silu(this.#context, x.pointer));
  }

  /** The gradient for x of silu(x) whose own gradient is dy. */
  siluBack(dy: Tensor, x: Tensor): Tensor {
    this.#demandSame("silu_back", dy, x);
    return this.#like(x, this.#ggml.ggml_silu_back(this.#context, dy.pointer, x.pointer));
  }

  /** softmax(scale · a + mask) over each row; the mask [columns, rows] repeats over a's outer dimensions. */
  softMax(a: Tensor, mask: Tensor | null, scale: number): Tensor {
    const g = this.#ggml;
    this.#demandFloats("soft_max", a);
    this.#demand(isContiguous(g, a), "soft_max: contiguous", a);
    if (mask !== null) {
      this.#demandFloats("soft_max", mask);
      this.#demand(isContiguous(g, mask), "soft_max: contiguous mask", mask);
      this.#demand(mask.ne[0] === a.ne[0] && mask.ne[1] >= a.ne[1], "soft_max: mask", a, mask);
      this.#demand(a.ne[2] % mask.ne[2] === 0 && a.ne[3] % mask.ne[3] === 0, "soft_max", a, mask);
    }
    const at = mask === null ? null : mask.pointer;
    return this.#like(a, g.ggml_soft_max_ext(this.#context, a.pointer, at, scale, 0));
  }

  /**
   * The gradient for a of `softMax(a, mask, scale)` = p whose own gradient is dp.
   * It must not run in place over p: p has to be read by a later node too.
   */
  softMaxBack(dp: Tensor, p: Tensor, scale: number): Tensor {
    this.#demandSame("soft_max_back", dp, p);
    const pointer = this.#ggml.ggml_soft_max_ext_back(
      this.#context,
      dp.pointer,
      p.pointer,
      scale,
      0,
    );
    return this.#like(dp, pointer);
  }

  /** Turns x [headDim, heads, tokens, batch] by the positions I32 [tokens]. */
  rope(x: Tensor, positions: Tensor, options: RopeOptions): Tensor {
    return this.#rope("ggml_rope_ext", x, positions, options);
  }

  /** Turns back: the gradient of `rope`. */
  ropeBack(dy: Tensor, positions: Tensor, options: RopeOptions): Tensor {
    return this.#rope("ggml_rope_ext_back", dy, positions, options);
  }

  /** Rows of a by I32 indices: a [n, rows, x], indices [k, x] → F32 [n, k, x]. Indices must be in range. */
  getRows(a: Tensor, indices: Tensor): Tensor {
    this.#demand(indices.type === GGML_TYPE.i32, "get_rows: I32 indices", indices);
    this.#demand(a.ne[2] === indices.ne[1] && a.ne[3] === indices.ne[2], "get_rows", a, indices);
    return this.#float(this.#ggml.ggml_get_rows(this.#context, a.pointer, indices.pointer), [
      a.ne[0],
      indices.ne[0],
      indices.ne[1],
      indices.ne[2],
    ]);
  }

  /** Sums gradient rows [n, k] into the rows that `getRows` read: [n, rows]. */
  getRowsBack(dy: Tensor, indices: Tensor, like: Tensor): Tensor {
    this.#demandFloats("get_rows_back", dy, like);
    this.#demand(indices.type === GGML_TYPE.i32, "get_rows_back: I32 indices", indices);
    this.#demand(dy.ne[0] === like.ne[0] && dy.ne[1] === indices.ne[0], "get_rows_back", dy, like);
    this.#demand(dy.ne[2] === 1 && like.ne[2] === 1, "get_rows_back: matrices", dy, like);
    const pointer = this.#ggml.ggml_get_rows_back(
      this.#context,
      dy.pointer,
      indices.pointer,
      like.pointer,
    );
    return this.#float(pointer, [like.ne[0], like.ne[1], 1, 1]);
  }

  /** Writes rows [n, k, x] over rows of a [n, rows, x] by I32 indices [k, x]; returns a view of a. */
  setRows(a: Tensor, rows: Tensor, indices: Tensor): Tensor {
    this.#demandFloats("set_rows", a, rows);
    this.#demand(a.ne[0] === rows.ne[0] && a.ne[2] === rows.ne[2], "set_rows", a, rows);
    this.#demand(indices.type === GGML_TYPE.i32, "set_rows: I32 indices", indices);
    this.#demand(
      rows.ne[1] === indices.ne[0] && rows.ne[2] === indices.ne[1],
      "set_rows",
      rows,
      indices,
    );
    const pointer = this.#ggml.ggml_set_rows(
      this.#context,
      a.pointer,
      rows.pointer,
      indices.pointer,
    );
    return this.#like(a, pointer);
  }

  /** The same memory under other sizes. */
  reshape(a: Tensor, ...ne: readonly number[]): Tensor {
    const sizes = four(ne);
    this.#demand(isContiguous(this.#ggml, a), "reshape: contiguous", a);
    this.#demand(countElements(sizes) === countElements(a.ne), `reshape to [${ne}]`, a);
    const pointer = this.#ggml.ggml_reshape_4d(this.#context, a.pointer, ...sizes);
    return { ...this.#dense(pointer, a.type, sizes), offset: a.offset ?? 0 };
  }

  /** Indices [from, from + count) of one dimension, the same memory; of dimension 0 in plain types only. */
  slice(a: Tensor, dimension: 0 | 1 | 2 | 3, from: number, count: number): Tensor {
    this.#demand(from >= 0 && count > 0 && from + count <= a.ne[dimension], "view: in range", a);
    const ne = four(a.ne.map((size, i) => (i === dimension ? count : size)));
    const offset = from * a.nb[dimension];
    const [, nb1, nb2, nb3] = a.nb;
    const pointer = this.#ggml.ggml_view_4d(this.#context, a.pointer, ...ne, nb1, nb2, nb3, offset);
    return { pointer, type: a.type, ne, nb: a.nb, offset: (a.offset ?? 0) + offset };
  }

  /** The same memory with dimensions moved: dimension i of a becomes dimension axes[i]. */
  permute(a: Tensor, axes: Four): Tensor {
    const at = (list: Four, axis: number) => list[axes.indexOf(axis)] ?? 1;
    const pointer = this.#ggml.ggml_permute(this.#context, a.pointer, ...axes);
    return {
      ...a,
      pointer,
      ne: [at(a.ne, 0), at(a.ne, 1), at(a.ne, 2), at(a.ne, 3)],
      nb: [at(a.nb, 0), at(a.nb, 1), at(a.nb, 2), at(a.nb, 3)],
    };
  }

  /** Rows become columns, the same memory. */
  transpose(a: Tensor): Tensor {
    return this.permute(a, [1, 0, 2, 3]);
  }

  /** A gapless copy in the same type. */
  cont(a: Tensor): Tensor {
    const pointer = this.#ggml.ggml_cont(this.#context, a.pointer);
    return this.#dense(pointer, a.type, a.ne);
  }

  /** A gapless copy in another float type. */
  cast(a: Tensor, type: number): Tensor {
    this.#demand(isFloat(a.type) && isFloat(type), "cpy: floats", a);
    if (a.type === type) return this.cont(a);
    return this.#dense(this.#ggml.ggml_cast(this.#context, a.pointer, type), type, a.ne);
  }

  /** Copies a into the memory of `to`, converting floats. */
  copyInto(a: Tensor, to: Tensor): Tensor {
    const floats = isFloat(a.type) && isFloat(to.type);
    this.#demand(floats && countElements(a.ne) === countElements(to.ne), "cpy", a, to);
    return this.#like(to, this.#ggml.ggml_cpy(this.#context, a.pointer, to.pointer));
  }

  /**
   * b written over the part of a that `place`, a view of a, shows; returns a as it is then. What reads a later must
   * read this result: a node that nothing reads is never done with, and its memory would be held to the end.
   */
  setInto(a: Tensor, b: Tensor, place: Tensor): Tensor {
    return this.#placed("ggml_set_inplace", a, b, place);
  }

  /** b added to the part of a that `place`, a view of a, shows; returns a as it is then, as `setInto` does. */
  addAt(a: Tensor, b: Tensor, place: Tensor): Tensor {
    return this.#placed("ggml_acc_inplace", a, b, place);
  }

  /** One AdamW update of w, m and v in place; see `ggml_opt_step_adamw` for the seven parameters. */
  adamwStep(w: Tensor, gradient: Tensor, m: Tensor, v: Tensor, parameters: Tensor): Tensor {
    for (const other of [gradient, m, v]) {
      this.#demandSame("opt_step_adamw", w, other);
      this.#demand(isContiguous(this.#ggml, other), "opt_step_adamw: contiguous", other);
    }
    this.#demand(parameters.ne[0] === 7, "opt_step_adamw: 7 parameters", parameters);
    this.#ggml.ggml_set_param(w.pointer);
    const pointer = this.#ggml.ggml_opt_step_adamw(
      this.#context,
      w.pointer,
      gradient.pointer,
      m.pointer,
      v.pointer,
      parameters.pointer,
    );
    return this.#like(w, pointer);
  }

  #placed(
    name: "ggml_set_inplace" | "ggml_acc_inplace",
    a: Tensor,
    b: Tensor,
    place: Tensor,
  ): Tensor {
    this.#demandFloats(name, a, b, place);
    const dense = isContiguous(this.#ggml, a) && isContiguous(this.#ggml, b);
    this.#demand(dense, `${name}: contiguous`, a, b);
    this.#demand(sameSizes(b, place) && place.nb[0] === 4, `${name}: equal sizes`, b, place);
    const [, nb1, nb2, nb3] = place.nb;
    const at = place.offset ?? 0;
    const pointer = this.#ggml[name](this.#context, a.pointer, b.pointer, nb1, nb2, nb3, at);
    return this.#like(a, pointer);
  }

  #rope(
    name: "ggml_rope_ext" | "ggml_rope_ext_back",
    x: Tensor,
    positions: Tensor,
    { dimensions, base, frequencyFactors }: RopeOptions,
  ): Tensor {
    this.#demandFloats(name, x);
    this.#demand(positions.type === GGML_TYPE.i32, `${name}: I32 positions`, positions);
    this.#demand(positions.ne[0] === x.ne[2], `${name}: a position a token`, x, positions);
    this.#demand(dimensions % 2 === 0 && dimensions <= x.ne[0], `${name}: ${dimensions}`, x);
    const factors = frequencyFactors === null ? null : frequencyFactors.pointer;
    const pointer = this.#ggml[name](
      this.#context,
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
    return this.#float(pointer, x.ne);
  }

  #float(pointer: TensorPointer, ne: Four): Tensor {
    return this.#dense(pointer, GGML_TYPE.f32, ne);
  }

  #like(a: Tensor, pointer: TensorPointer): Tensor {
    return { ...a, pointer };
  }

  #dense(pointer: TensorPointer, type: number, ne: Four): Tensor {
    return { pointer, type, ne, nb: contiguousStrides(this.#ggml, type, ne) };
  }

  #demandFloats(name: string, ...tensors: readonly Tensor[]): void {
    const floats = tensors.every((tensor) => tensor.type === GGML_TYPE.f32);
    this.#demand(floats, `${name}: F32`, ...tensors);
  }

  #demandSame(name: string, a: Tensor, b: Tensor): void {
    this.#demandFloats(name, a, b);
    this.#demand(sameSizes(a, b), `${name}: equal sizes`, a, b);
    const dense = isContiguous(this.#ggml, a) && isContiguous(this.#ggml, b);
    this.#demand(dense, `${name}: contiguous`, a, b);
  }

  #demandRepeat(name: string, a: Tensor, b: Tensor): void {
    this.#demandFloats(name, a, b);
    const repeats = a.ne.every((count, i) => count % (b.ne[i] ?? 1) === 0);
    this.#demand(repeats, `${name}: b repeats over a`, a, b);
  }

  #demand(holds: boolean, what: string, ...tensors: readonly Tensor[]): void {
    if (holds) return;
    const found = tensors.map((tensor) => describeTensor(this.#ggml, tensor)).join(" and ");
    throw new RangeError(`${what} expected, got ${found}`);
  }
}
