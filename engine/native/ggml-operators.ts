/**
 * libggml's tensor operators under their own names (ggml.h): each adds a node to a graph and computes nothing.
 * Shapes and types are not checked here: ggml aborts the process on a wrong one.
 */
import type { LibraryHandle } from "koffi";
import { bind, type ContextPointer, I64, P, SIZE, type TensorPointer } from "./ggml-pointer.ts";
import type { NativeFunction } from "./library.ts";

type Context = ContextPointer;
type Tensor = TensorPointer;
type Unary = (ctx: Context, a: Tensor) => Tensor;
type Binary = (ctx: Context, a: Tensor, b: Tensor) => Tensor;
type Scaled = (ctx: Context, a: Tensor, factor: number) => Tensor;
type Rope = (
  ctx: Context,
  a: Tensor,
  positions: Tensor,
  frequencyFactors: Tensor | null,
  nDims: number,
  mode: number,
  nCtxOrig: number,
  freqBase: number,
  freqScale: number,
  extFactor: number,
  attnFactor: number,
  betaFast: number,
  betaSlow: number,
) => Tensor;

/** Binds the operators: views and copies, arithmetic, layers. */
export function bindOperators(lib: LibraryHandle) {
  return { ...bindViews(lib), ...bindArithmetic(lib), ...bindLayers(lib) };
}

function bindViews(lib: LibraryHandle) {
  type Shape4 = [Context, Tensor, number, number, number, number];
  const shape4 = [P, P, I64, I64, I64, I64];
  type Placed = [Context, a: Tensor, b: Tensor, nb1: number, nb2: number, nb3: number, at: number];
  const placed = [P, P, P, SIZE, SIZE, SIZE, SIZE];
  return {
    ggml_reshape_4d: bind<Shape4, Tensor>(lib, "ggml_reshape_4d", P, shape4),
    /** Sizes in elements, then strides nb1..nb3 and the offset in bytes. */
    ggml_view_4d: bind<[...Shape4, nb1: number, nb2: number, nb3: number, offset: number], Tensor>(
      lib,
      "ggml_view_4d",
      P,
      [...shape4, SIZE, SIZE, SIZE, SIZE],
    ),
    ggml_permute: bind<Shape4, Tensor>(lib, "ggml_permute", P, [P, P, "int", "int", "int", "int"]),
    /** b over a, or added to it, at strides nb1..nb3 and an offset in bytes; the result is a view of a. */
    ggml_set_inplace: bind<Placed, Tensor>(lib, "ggml_set_inplace", P, placed),
    ggml_acc_inplace: bind<Placed, Tensor>(lib, "ggml_acc_inplace", P, placed),
    ggml_cont: op<Unary>(lib, "ggml_cont", [P, P]),
    ggml_cpy: op<Binary>(lib, "ggml_cpy", [P, P, P]),
    ggml_cast: op<Scaled>(lib, "ggml_cast", [P, P, "int"]),
    ggml_get_rows: op<Binary>(lib, "ggml_get_rows", [P, P, P]),
    ggml_get_rows_back: bind<[Context, Tensor, Tensor, Tensor], Tensor>(
      lib,
      "ggml_get_rows_back",
      P,
      [P, P, P, P],
    ),
    ggml_set_rows: bind<[Context, Tensor, Tensor, Tensor], Tensor>(lib, "ggml_set_rows", P, [
      P,
      P,
      P,
      P,
    ]),
  };
}

function bindArithmetic(lib: LibraryHandle) {
  const binary = (name: string) => op<Binary>(lib, name, [P, P, P]);
  const unary = (name: string) => op<Unary>(lib, name, [P, P]);
  return {
    ggml_add: binary("ggml_add"),
    ggml_add_inplace: binary("ggml_add_inplace"),
    ggml_mul: binary("ggml_mul"),
    ggml_mul_inplace: binary("ggml_mul_inplace"),
    ggml_log: unary("ggml_log"),
    ggml_sum: unary("ggml_sum"),
    ggml_argmax: unary("ggml_argmax"),
    ggml_scale_bias: bind<[Context, Tensor, s: number, b: number], Tensor>(
      lib,
      "ggml_scale_bias",
      P,
      [P, P, "float", "float"],
    ),
    ggml_mul_mat: binary("ggml_mul_mat"),
    /** enum ggml_prec: 10 (`GGML_PREC_F32`) sums in F32 where a GPU would sum in F16. */
    ggml_mul_mat_set_prec: bind<[Tensor, precision: number], void>(
      lib,
      "ggml_mul_mat_set_prec",
      "void",
      [P, "int"],
    ),
    ggml_out_prod: binary("ggml_out_prod"),
  };
}

function bindLayers(lib: LibraryHandle) {
  const floats = (n: number) => Array<string>(n).fill("float");
  const rope = [P, P, P, P, "int", "int", "int", ...floats(6)];
  type SoftMax = (
    ctx: Context,
    a: Tensor,
    maskOrP: Tensor | null,
    scale: number,
    maxBias: number,
  ) => Tensor;
  const softMax = (name: string) => op<SoftMax>(lib, name, [P, P, P, "float", "float"]);
  return {
    ggml_rms_norm: op<Scaled>(lib, "ggml_rms_norm", [P, P, "float"]),
    /** (dy, x, eps): the order of the implementation; ggml.h's comment has them the other way round. */
    ggml_rms_norm_back: bind<[Context, dy: Tensor, x: Tensor, eps: number], Tensor>(
      lib,
      "ggml_rms_norm_back",
      P,
      [P, P, P, "float"],
    ),
    ggml_silu: op<Unary>(lib, "ggml_silu", [P, P]),
    ggml_silu_back: op<Binary>(lib, "ggml_silu_back", [P, P, P]),
    ggml_swiglu_split: op<Binary>(lib, "ggml_swiglu_split", [P, P, P]),
    ggml_soft_max_ext: softMax("ggml_soft_max_ext"),
    ggml_soft_max_ext_back: softMax("ggml_soft_max_ext_back"),
    ggml_rope_ext: op<Rope>(lib, "ggml_rope_ext", rope),
    ggml_rope_ext_back: op<Rope>(lib, "ggml_rope_ext_back", rope),
    /** Updates `a`, `m`, `v` in place; parameters: alpha, beta1, beta2, eps, wd, 1/(1-beta1^t), 1/(1-beta2^t). */
    ggml_opt_step_adamw: bind<
      [Context, a: Tensor, grad: Tensor, m: Tensor, v: Tensor, parameters: Tensor],
      Tensor
    >(lib, "ggml_opt_step_adamw", P, [P, P, P, P, P, P]),
  };
}

function op<F extends (...args: never[]) => Tensor>(
  lib: LibraryHandle,
  name: string,
  parameters: string[],
): NativeFunction<Parameters<F>, Tensor> {
  return bind(lib, name, P, parameters);
}
