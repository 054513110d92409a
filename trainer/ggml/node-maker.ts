/**
 * What the rooms of operators share: the context that nodes' descriptions go to, and the demands that are checked
 * before ggml sees a shape, since it would abort the process. It knows no operator.
 */
import { GGML_TYPE, type Ggml } from "#engine/native/ggml.ts";
import type { ContextPointer, TensorPointer } from "#engine/native/ggml-pointer.ts";
import {
  contiguousStrides,
  describeTensor,
  type Four,
  isContiguous,
  sameSizes,
  type Tensor,
} from "./tensor.ts";

/** Describes nodes of one context. */
export class NodeMaker {
  readonly ggml: Ggml;
  readonly context: ContextPointer;

  constructor(ggml: Ggml, context: ContextPointer) {
    this.ggml = ggml;
    this.context = context;
  }

  /** A node's result in F32 without gaps. */
  float(pointer: TensorPointer, ne: Four): Tensor {
    return this.dense(pointer, GGML_TYPE.f32, ne);
  }

  /** A node's result in the sizes and strides of a. */
  like(a: Tensor, pointer: TensorPointer): Tensor {
    return { ...a, pointer };
  }

  /** A node's result without gaps. */
  dense(pointer: TensorPointer, type: number, ne: Four): Tensor {
    return { pointer, type, ne, nb: contiguousStrides(this.ggml, type, ne) };
  }

  /** The memory of a from `offset` bytes on, in other sizes and strides. */
  view(a: Tensor, ne: Four, nb: Four, offset: number): Tensor {
    const [, nb1, nb2, nb3] = nb;
    const pointer = this.ggml.ggml_view_4d(this.context, a.pointer, ...ne, nb1, nb2, nb3, offset);
    return { pointer, type: a.type, ne, nb, offset: (a.offset ?? 0) + offset };
  }

  /** @throws RangeError where a tensor is not F32 */
  demandFloats(name: string, ...tensors: readonly Tensor[]): void {
    const floats = tensors.every((tensor) => tensor.type === GGML_TYPE.f32);
    this.demand(floats, `${name}: F32`, ...tensors);
  }

  /** @throws RangeError where they are not F32 of equal sizes, without gaps */
  demandSame(name: string, a: Tensor, b: Tensor): void {
    this.demandFloats(name, a, b);
    this.demand(sameSizes(a, b), `${name}: equal sizes`, a, b);
    const dense = isContiguous(this.ggml, a) && isContiguous(this.ggml, b);
    this.demand(dense, `${name}: contiguous`, a, b);
  }

  /** @throws RangeError where they are not F32, or b does not repeat over a */
  demandRepeat(name: string, a: Tensor, b: Tensor): void {
    this.demandFloats(name, a, b);
    const repeats = a.ne.every((count, i) => count % (b.ne[i] ?? 1) === 0);
    this.demand(repeats, `${name}: b repeats over a`, a, b);
  }

  /** @throws RangeError where a demand does not hold, naming the tensors' types and sizes */
  demand(holds: boolean, what: string, ...tensors: readonly Tensor[]): void {
    if (holds) return;
    const found = tensors.map((tensor) => describeTensor(this.ggml, tensor)).join(" and ");
    throw new RangeError(`${what} expected, got ${found}`);
  }
}
