/**
 * Stops a running computation of the CPU's. ggml asks a native function after each node, on a thread that may call
 * no JavaScript: it is given `ggml_is_empty`, and a tensor of ours whose size becomes 0 when it shall stop.
 */
import { CodedError } from "#engine/base/errors.ts";
import type { Ggml } from "#engine/native/ggml.ts";
import { setFirstSize } from "#engine/native/ggml-node.ts";
import type { BackendPointer, ContextPointer, TensorPointer } from "#engine/native/ggml-pointer.ts";
import { openContext } from "./storage.ts";

/** One backend's brake; to be disposed after the backend. */
export class Brake implements Disposable {
  readonly #ggml: Ggml;
  readonly #context: ContextPointer;
  readonly #asked: TensorPointer;
  #open = true;

  /** @throws CodedError `native_failed` where writing to the tensor does not do what it shall */
  constructor(ggml: Ggml) {
    this.#ggml = ggml;
    this.#context = openContext(ggml, Number(ggml.ggml_tensor_overhead()));
    this.#asked = ggml.ggml_new_tensor_4d(this.#context, 0, 1, 1, 1, 1);
    this.pull();
    const isPulled = ggml.ggml_is_empty(this.#asked);
    this.release();
    if (isPulled && !ggml.ggml_is_empty(this.#asked)) return;
    this[Symbol.dispose]();
    throw new CodedError(
      'ggml lays tensors out in another way than this release does. Run "npm ci" again.',
      { code: "native_failed" },
    );
  }

  /** False where the device cannot be stopped (a GPU, whose computations are short). */
  fitTo(registry: bigint, backend: BackendPointer): boolean {
    const { ggml_is_empty_address, ggml_backend_set_abort_callback } = this.#ggml;
    return ggml_backend_set_abort_callback(registry, backend, ggml_is_empty_address, this.#asked);
  }

  /** Ends the running computation after its running node, and any that begins before `release`. */
  pull(): void {
    setFirstSize(this.#asked, 0);
  }

  release(): void {
    setFirstSize(this.#asked, 1);
  }

  [Symbol.dispose](): void {
    if (this.#open) this.#ggml.ggml_free(this.#context);
    this.#open = false;
  }
}
