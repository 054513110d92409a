/**
 * Which nodes Vulkan computes: `ggml_backend_vk_device_supports_op` of the pinned release, and what its shaders take
 * for granted beside it, for the operators of training. It stands in for a device where there is none. Limits of one
 * device's buffers are not known here.
 */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { NodeDescription } from "#engine/native/ggml-node.ts";
import type { TensorPointer } from "#engine/native/ggml-pointer.ts";
import {
  both,
  dense,
  FLOATS,
  floats,
  follows,
  isContiguous,
  isPlain,
  LAYOUTS,
  QUANTISED,
  type Rule,
} from "./node-rules.ts";

const { f32, f16, bf16, i32 } = GGML_TYPE;
const FLOAT_SIZE = 4;
/** `mul_mat_vec_max_cols` */
const VECTORS = 8;

const firstDense: Rule = (_, a) => a.type === f32 && isContiguous(a);
const smallFloats: Rule = (node, a, b) =>
  [node, a, b].every((each) => each === undefined || each.type === f32 || each.type === f16);

/**
 * SET and ACC share a shader that finds an element's place by dividing its index by the strides, the outermost first:
 * each stride must hold all that the one before counts. It is not asked whether it does.
 */
const nested: Rule = ({ parameters: [nb1 = 0, nb2 = 0, nb3 = 0] }, _, b) => {
  if (b === undefined) return false;
  const [n0 = 1, n1 = 1, n2 = 1] = b.ne;
  return n0 * FLOAT_SIZE <= nb1 && n1 * nb1 <= nb2 && n2 * nb2 <= nb3;
};

const copies: Rule = (node, a) =>
  (a.type === f32 && FLOATS.includes(node.type)) ||
  (node.type === f32 && FLOATS.includes(a.type)) ||
  (a.type === node.type && FLOATS.includes(a.type));

const products: Rule = (_, a, b) => {
  if (b === undefined || a.ne[3] !== b.ne[3]) return false;
  if (!FLOATS.includes(a.type) && !QUANTISED.includes(a.type)) return false;
  if (!isMatrixDense(a) && !FLOATS.includes(a.type)) return false;
  if (!isMatrixDense(b) && b.type !== f32 && b.type !== f16) return false;
  if (a.type === bf16 && b.type === f16) return false;
  // So few columns go to a kernel for vectors, which ends the process over BF16 ones; it is not asked whether it does.
  if (b.type === bf16 && (b.ne[1] ?? 1) <= VECTORS) return false;
  // What has no gaps within a matrix is read as if it had none between matrices either.
  const isRead = [a, b].every((each) => !isMatrixDense(each) || isContiguous(each));
  return isRead && isPlain(a) && isPlain(b);
};

const RULES: Readonly<Record<string, Rule>> = {
  ...LAYOUTS,
  RMS_NORM: floats,
  ROPE: (node, a) => isPlain(node) && isPlain(a),
  ROPE_BACK: (node, a) => isPlain(node) && isPlain(a),
  SCALE: firstDense,
  LOG: smallFloats,
  ARGMAX: firstDense,
  SOFT_MAX: (_, a, mask) =>
    a.type === f32 &&
    isContiguous(a) &&
    (mask === undefined || mask.type === f32 || mask.type === f16),
  SOFT_MAX_BACK: both(floats, dense),
  CONT: copies,
  CPY: copies,
  ADD: smallFloats,
  MUL: smallFloats,
  SUM: (_, a) => a.type === f32 && isPlain(a),
  SILU: smallFloats,
  SWIGLU: smallFloats,
  SILU_BACK: both(firstDense, dense),
  RMS_NORM_BACK: both(firstDense, dense),
  SET: both(floats, nested),
  ACC: both(floats, nested),
  GET_ROWS: (_, a) => [...FLOATS, ...QUANTISED].includes(a.type),
  // One matrix: the shader knows no others.
  GET_ROWS_BACK: (node, a) => node.type === f32 && a.type === f32 && node.ne[2] === 1,
  SET_ROWS: (node, a, rows) =>
    FLOATS.includes(node.type) && (a.type === f32 || a.type === f16) && rows?.type === i32,
  OPT_STEP_ADAMW: firstDense,
  MUL_MAT: products,
};

/** Whether Vulkan computes the node, and rightly; operators that training does not need are not known here. */
export function vulkanSupports(operator: string, pointer: TensorPointer): boolean {
  return follows(RULES, operator, pointer);
}

/** `ggml_vk_dim01_contiguous` */
function isMatrixDense({ type, ne, nb }: NodeDescription): boolean {
  if (QUANTISED.includes(type)) return true;
  const size = type === f32 ? FLOAT_SIZE : FLOAT_SIZE / 2;
  const [n0 = 1, , n2 = 1, n3 = 1] = ne;
  const [nb0 = 0, nb1 = 0, nb2 = 0, nb3 = 0] = nb;
  return nb0 === size && nb1 === nb0 * n0 && (n3 === 1 || nb3 === nb2 * n2);
}
