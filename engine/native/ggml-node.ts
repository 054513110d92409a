/**
 * What a graph's node says of itself, read from `struct ggml_tensor` (ggml.h of the pinned release): for tests and
 * measurements. Everything else asks ggml's functions.
 */
import koffi from "koffi";
import type { TensorPointer } from "./ggml-pointer.ts";

/** Offsets in bytes: type, buffer, ne[4], nb[4], op, op_params[16], flags, src[10]. */
const NE = 16;
const NB = 48;
const SOURCES = 152;
const SOURCES_MOST = 10;

/** Type, sizes and strides of a tensor, and the tensors that it is made of. */
export type NodeDescription = {
  /** enum ggml_type */
  readonly type: number;
  readonly ne: readonly number[];
  readonly nb: readonly number[];
  readonly sources: readonly TensorPointer[];
};

/** Reads a tensor's description. */
export function describeNode(pointer: TensorPointer): NodeDescription {
  const numbers = (offset: number): number[] =>
    Array.from(koffi.decode(pointer, offset, koffi.array("int64_t", 4)), Number);
  const sources: TensorPointer[] = [];
  for (let i = 0; i < SOURCES_MOST; i++) {
    const source: TensorPointer | null = koffi.decode(pointer, SOURCES + 8 * i, "void *");
    if (source !== null) sources.push(source);
  }
  return { type: koffi.decode(pointer, 0, "int"), ne: numbers(NE), nb: numbers(NB), sources };
}
