/**
 * What stands in `struct ggml_tensor` (ggml.h of the pinned release): read for tests and measurements, written for
 * the one thing that ggml has no function for. Everything else asks ggml's functions.
 */
import koffi from "koffi";
import type { TensorPointer } from "./ggml-pointer.ts";

/** Offsets in bytes: type, buffer, ne[4], nb[4], op, op_params[16], flags, src[10]. */
const NE = 16;
const NB = 48;
const PARAMETERS = 84;
const SOURCES = 152;
const SOURCES_MOST = 10;

/** Type, sizes and strides of a tensor, and the tensors that it is made of. */
export type NodeDescription = {
  /** enum ggml_type */
  readonly type: number;
  readonly ne: readonly number[];
  readonly nb: readonly number[];
  /** The operator's own, as I32. */
  readonly parameters: readonly number[];
  readonly sources: readonly TensorPointer[];
};

/** Writes a tensor's innermost size: with 0, it is empty. Other threads see it. */
export function setFirstSize(pointer: TensorPointer, elements: number): void {
  koffi.encode(pointer, NE, "int64_t", elements);
}

/** Reads a tensor's description. */
export function describeNode(pointer: TensorPointer): NodeDescription {
  const numbers = (offset: number): number[] =>
    Array.from(koffi.decode(pointer, offset, koffi.array("int64_t", 4)), Number);
  const sources: TensorPointer[] = [];
  for (let i = 0; i < SOURCES_MOST; i++) {
    const source: TensorPointer | null = koffi.decode(pointer, SOURCES + 8 * i, "void *");
    if (source !== null) sources.push(source);
  }
  const parameters = Array.from(
    koffi.decode(pointer, PARAMETERS, koffi.array("int32_t", 16)),
    Number,
  );
  const type: number = koffi.decode(pointer, 0, "int");
  return { type, ne: numbers(NE), nb: numbers(NB), parameters, sources };
}
