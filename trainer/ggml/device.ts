/**
 * Where tensors live and graphs run: the build's GPU if it has one, the CPU otherwise.
 * It knows nothing of models.
 */
import { CodedError } from "#engine/base/errors.ts";
import {
  bindGgml,
  GGML_BACKEND_DEVICE_TYPE,
  GGML_STATUS_SUCCESS,
  type Ggml,
} from "#engine/native/ggml.ts";
import type {
  BackendPointer,
  BufferTypePointer,
  DevicePointer,
  GraphPointer,
} from "#engine/native/ggml-pointer.ts";
import type { NativeLibraries } from "#engine/native/library.ts";

/** What to compute on. */
export type DeviceOptions = {
  readonly libraries: NativeLibraries;
  /** CPU threads; more than there are cores makes steps many times slower. */
  readonly threads: number;
  /**
   * Only to measure: tensors get addresses without memory, writes go nowhere, nothing can be computed. `gpu` lays
   * out what a GPU would be given, whether there is one or not.
   */
  readonly dry?: "itself" | "gpu" | undefined;
};

/** An opened backend of ggml. */
export class Device implements Disposable {
  readonly ggml: Ggml;
  readonly backend: BackendPointer;
  /** ggml's name of the device, such as `CPU` or `CUDA0`. */
  readonly name: string;
  /** The maker's name of the device. */
  readonly description: string;
  readonly isCpu: boolean;
  readonly isDry: boolean;
  /** A GPU that is not there, whose questions nobody answers. */
  readonly isPretended: boolean;
  readonly #device: DevicePointer;
  #open = true;

  private constructor(
    ggml: Ggml,
    device: DevicePointer,
    backend: BackendPointer,
    dry: DeviceOptions["dry"],
  ) {
    this.ggml = ggml;
    this.isDry = dry !== undefined;
    this.#device = device;
    this.backend = backend;
    const isCpu = ggml.ggml_backend_dev_type(device) === GGML_BACKEND_DEVICE_TYPE.cpu;
    this.isPretended = isCpu && dry === "gpu";
    this.name = this.isPretended ? "a GPU" : ggml.ggml_backend_dev_name(device);
    this.description = ggml.ggml_backend_dev_description(device);
    this.isCpu = isCpu && !this.isPretended;
  }

  /**
   * Opens the first GPU that the libraries' build brings, or the CPU.
   * @throws CodedError `native_failed`
   */
  static open({ libraries, threads, dry }: DeviceOptions): Device {
    if (!Number.isInteger(threads) || threads < 1) {
      throw new RangeError(`expected a whole number of threads from 1, got ${threads}`);
    }
    const ggml = bindGgml(libraries);
    const device = chooseDevice(ggml);
    const backend = ggml.ggml_backend_dev_init(device, null);
    if (backend === null) throw deviceFailed(`${ggml.ggml_backend_dev_name(device)} did not start`);
    const registry = ggml.ggml_backend_dev_backend_reg(device);
    ggml.ggml_backend_set_n_threads(registry, backend, threads);
    return new Device(ggml, device, backend, dry);
  }

  /** The memory type that tensors get here. */
  get bufferType(): BufferTypePointer {
    return this.ggml.ggml_backend_get_default_buffer_type(this.backend);
  }

  /** Bytes that are free on a GPU now; undefined of the CPU, whose memory is the system's. */
  get freeBytes(): number | undefined {
    if (this.isCpu || this.isPretended) return undefined;
    const [free, total] = [new BigUint64Array(1), new BigUint64Array(1)];
    this.ggml.ggml_backend_dev_memory(this.#device, free, total);
    return Number(free[0]);
  }

  /**
   * Runs a graph to its end.
   * @throws CodedError `native_failed`
   */
  compute(graph: GraphPointer): void {
    if (this.isDry) throw new Error("a dry device computes nothing");
    const status = this.ggml.ggml_backend_graph_compute(this.backend, graph);
    if (status !== GGML_STATUS_SUCCESS) throw deviceFailed(`a computation ended with ${status}`);
  }

  [Symbol.dispose](): void {
    if (this.#open) this.ggml.ggml_backend_free(this.backend);
    this.#open = false;
  }
}

function chooseDevice(ggml: Ggml): DevicePointer {
  const count = Number(ggml.ggml_backend_dev_count());
  const devices = Array.from({ length: count }, (_, index) => ggml.ggml_backend_dev_get(index));
  const { gpu, igpu, cpu } = GGML_BACKEND_DEVICE_TYPE;
  for (const wanted of [gpu, igpu, cpu]) {
    const found = devices.find((device) => ggml.ggml_backend_dev_type(device) === wanted);
    if (found !== undefined) return found;
  }
  throw deviceFailed("the build brings no device");
}

function deviceFailed(what: string): CodedError {
  return new CodedError(`ggml: ${what}. Run "npx zephyr doctor", or set GPU=cpu.`, {
    code: "native_failed",
  });
}
