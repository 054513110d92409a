/**
 * Which nodes CUDA computes: `ggml_backend_cuda_device_supports_op` of the pinned release, and what its kernels
 * assert beside it, for the operators of training. It stands in for a device where there is none.
 */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { TensorPointer } from "#engine/native/ggml-pointer.ts";
import {
  always,
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

const { f32, i32 } = GGML_TYPE;

const RULES: Readonly<Record<string, Rule>> = {
  ...LAYOUTS,
  SCALE: always,
  LOG: floats,
  ARGMAX: (_, a) => a.type === f32,
  SOFT_MAX: (_, a, mask) => a.type === f32 && (mask === undefined || isContiguous(mask)),
  SOFT_MAX_BACK: both(floats, dense),
  CONT: (node, a) => node.type === a.type && FLOATS.includes(a.type),
  CPY: (node, a) => FLOATS.includes(a.type) && FLOATS.includes(node.type),
  ADD: floats,
  MUL: floats,
  SUM: both(floats, dense),
  SILU: both(floats, dense),
  SILU_BACK: both(floats, dense),
  SWIGLU: floats,
  RMS_NORM: floats,
  RMS_NORM_BACK: both(floats, dense),
  ROPE: (_, a) => a.type === f32 && isContiguous(a),
  ROPE_BACK: (_, a) => a.type === f32 && isContiguous(a),
  SET: both(floats, dense),
  ACC: both(floats, dense),
  GET_ROWS: (_, a, rows) => [...FLOATS, ...QUANTISED].includes(a.type) && rows?.type === i32,
  GET_ROWS_BACK: (node, a) => node.type === f32 && a.type === f32 && node.ne[2] === 1,
  SET_ROWS: (node, a, rows) => node.type === f32 && a.type === f32 && rows?.type === i32,
  OPT_STEP_ADAMW: floats,
  MUL_MAT: (_, a, b) => {
    if (b === undefined || (b.type !== f32 && b.type !== a.type)) return false;
    return isPlain(a) && isPlain(b) && (FLOATS.includes(a.type) || QUANTISED.includes(a.type));
  },
};

/** Whether CUDA computes the node; operators that training does not need are not known here. */
export function cudaSupports(operator: string, pointer: TensorPointer): boolean {
  return follows(RULES, operator, pointer);
}
