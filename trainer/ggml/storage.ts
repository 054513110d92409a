/**
 * Tensors that outlive a graph: weights, gradients, moments, a graph's inputs. One backend buffer holds them.
 */
import { CodedError } from "#engine/base/errors.ts";
import type { Ggml } from "#engine/native/ggml.ts";
import type { BufferPointer, ContextPointer, TensorPointer } from "#engine/native/ggml-pointer.ts";
import type { Device } from "./device.ts";
import { contiguousStrides, countElements, four, type Tensor } from "./tensor.ts";

/** Where a dry device's tensors seem to be: one address for all of them, since nothing is read or written. */
const NOWHERE = 0x1000n;
const NOWHERE_BYTES = 2 ** 46;

/** A set of tensors, declared first, then given memory at once; zero at first. */
export class Storage implements Disposable {
  readonly #device: Device;
  readonly #context: ContextPointer;
  readonly #capacity: number;
  readonly #tensors: TensorPointer[] = [];
  #bytes = 0;
  #buffer: BufferPointer | undefined;
  #open = true;

  /** @param capacity how many tensors it can hold */
  constructor(device: Device, capacity: number) {
    this.#device = device;
    this.#capacity = capacity;
    this.#context = openContext(device.ggml, capacity * device.ggml.ggml_tensor_overhead());
  }

  /** Declares a tensor of sizes `ne` (innermost first); it has no memory before `allocate`. */
  add(type: number, ne: readonly number[]): Tensor {
    const { ggml } = this.#device;
    const sizes = four(ne);
    if (this.#buffer !== undefined) throw new Error("the storage has its memory already");
    if (this.#tensors.length >= this.#capacity)
      throw new Error(`more than ${this.#capacity} tensors`);
    if (sizes.some((count) => !Number.isInteger(count) || count < 1)) {
      throw new RangeError(`expected sizes from 1, got [${ne.join(", ")}]`);
    }
    if (sizes[0] % ggml.ggml_blck_size(type) !== 0) {
      throw new RangeError(`rows of ${sizes[0]} do not fit ${ggml.ggml_type_name(type)}'s blocks`);
    }
    const pointer = ggml.ggml_new_tensor_4d(this.#context, type, ...sizes);
    this.#tensors.push(pointer);
    return { pointer, type, ne: sizes, nb: contiguousStrides(ggml, type, sizes) };
  }

  /**
   * Gives all declared tensors their memory, zeroed.
   * @throws CodedError `out_of_memory`
   */
  allocate(): void {
    if (this.#tensors.length === 0) return;
    const { ggml, backend, bufferType, isDry, name } = this.#device;
    const context = this.#context;
    // The buffer's own size is not asked: it may be several buffers, of which each tells its own only.
    this.#bytes = Number(ggml.ggml_backend_alloc_ctx_tensors_from_buft_size(context, bufferType));
    const buffer = isDry ? this.#pretend() : ggml.ggml_backend_alloc_ctx_tensors(context, backend);
    if (buffer === null) {
      throw new CodedError(
        `The ${name} device has no ${Math.ceil(this.#bytes / 2 ** 20)} MiB left for ${this.#tensors.length} tensors. Use a smaller model, or less tokens in a batch.`,
        { code: "out_of_memory" },
      );
    }
    this.#buffer = buffer;
    this.clear();
  }

  /** Sets every tensor to zero. */
  clear(): void {
    if (this.#buffer === undefined || this.#device.isDry) return;
    this.#device.ggml.ggml_backend_buffer_clear(this.#buffer, 0);
  }

  /** Bytes of memory held, or that a dry device would hold. */
  get bytes(): number {
    return this.#bytes;
  }

  #pretend(): BufferPointer {
    const { ggml } = this.#device;
    const buffer = ggml.ggml_backend_cpu_buffer_from_ptr(NOWHERE, NOWHERE_BYTES);
    for (const tensor of this.#tensors) ggml.ggml_backend_tensor_alloc(buffer, tensor, NOWHERE);
    return buffer;
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#buffer !== undefined) this.#device.ggml.ggml_backend_buffer_free(this.#buffer);
    this.#device.ggml.ggml_free(this.#context);
  }
}

/**
 * A context for descriptions only: tensor data comes from a backend.
 * @throws CodedError `out_of_memory`
 */
export function openContext(ggml: Ggml, bytes: number): ContextPointer {
  const context = ggml.ggml_init({ mem_size: bytes, mem_buffer: null, no_alloc: true });
  if (context === null) {
    throw new CodedError(`ggml found no ${bytes} bytes for a graph's description.`, {
      code: "out_of_memory",
    });
  }
  return context;
}

/** Writes a tensor's data from memory; `data` covers the tensor exactly, or its part from `offset` bytes on. */
export function writeTensor(
  device: Device,
  tensor: Tensor,
  data: ArrayBufferView,
  offset?: number,
): void {
  const bytes = device.ggml.ggml_nbytes(tensor.pointer);
  const fits = offset === undefined ? data.byteLength === bytes : data.byteLength + offset <= bytes;
  if (!fits) {
    throw new RangeError(`expected ${bytes} bytes for [${tensor.ne}], got ${data.byteLength}`);
  }
  if (device.isDry) return;
  device.ggml.ggml_backend_tensor_set(tensor.pointer, data, offset ?? 0, data.byteLength);
}

/** Reads an F32 tensor's data. */
export function readFloats(device: Device, tensor: Tensor): Float32Array {
  const values = new Float32Array(countElements(tensor.ne));
  if (device.ggml.ggml_nbytes(tensor.pointer) !== values.byteLength) {
    throw new RangeError("expected a gapless F32 tensor");
  }
  device.ggml.ggml_backend_tensor_get(tensor.pointer, values, 0, values.byteLength);
  return values;
}
