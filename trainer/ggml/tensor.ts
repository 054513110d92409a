/**
 * What this side knows of a ggml tensor: its address, type, sizes and strides, so that shapes are checked
 * before ggml sees them (ggml aborts the process on a wrong one).
 */
import { GGML_TYPE, type Ggml } from "#engine/native/ggml.ts";
import type { TensorPointer } from "#engine/native/ggml-pointer.ts";

/** Four numbers in ggml's order: the innermost dimension first. */
export type Four = readonly [number, number, number, number];

/** A tensor of some context; lives as long as that context. */
export type Tensor = {
  readonly pointer: TensorPointer;
  /** enum ggml_type */
  readonly type: number;
  /** Elements in each dimension. */
  readonly ne: Four;
  /** Bytes from one element to the next in each dimension. */
  readonly nb: Four;
  /** Of a view: bytes from the beginning of what it views. */
  readonly offset?: number;
};

/** Sizes with the missing dimensions filled by 1. */
export function four(ne: readonly number[]): Four {
  return [ne[0] ?? 1, ne[1] ?? 1, ne[2] ?? 1, ne[3] ?? 1];
}

/** How many elements sizes `ne` hold. */
export function countElements(ne: readonly number[]): number {
  return ne.reduce((product, count) => product * count, 1);
}

/** The strides of a tensor that lies in memory without gaps (ggml_new_tensor). */
export function contiguousStrides(ggml: Ggml, type: number, ne: Four): Four {
  const row = ggml.ggml_row_size(type, ne[0]);
  return [ggml.ggml_type_size(type), row, row * ne[1], row * ne[1] * ne[2]];
}

/** Whether a tensor's elements lie in ggml's order without gaps (ggml_is_contiguous). */
export function isContiguous(ggml: Ggml, tensor: Tensor): boolean {
  const dense = contiguousStrides(ggml, tensor.type, tensor.ne);
  return dense.every((stride, i) => tensor.ne[i] === 1 || stride === tensor.nb[i]);
}

/** Whether two tensors have the same sizes. */
export function sameSizes(a: Tensor, b: Tensor): boolean {
  return a.ne.every((count, i) => count === b.ne[i]);
}

/** A tensor's name by type and sizes, for messages. */
export function describeTensor(ggml: Ggml, tensor: Tensor): string {
  return `${ggml.ggml_type_name(tensor.type) ?? tensor.type}[${tensor.ne.join(", ")}]`;
}

/** Whether the type is a float that copies convert (F32, F16, BF16). */
export function isFloat(type: number): boolean {
  return type === GGML_TYPE.f32 || type === GGML_TYPE.f16 || type === GGML_TYPE.bf16;
}
