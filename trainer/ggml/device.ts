/**
 * Where tensors live and graphs run: the build's GPU if it has one, the CPU otherwise.
 * It knows nothing of models.
 */
import { CodedError } from "#engine/base/errors.ts";
import {
  bindGgml,
  GGML_BACKEND_DEVICE_TYPE,
  GGML_STATUS_ABORTED,
  GGML_STATUS_SUCCESS,
  type Ggml,
} from "#engine/native/ggml.ts";
import type {
  BackendPointer,
  BufferTypePointer,
  DevicePointer,
  GraphPointer,
} from "#engine/native/ggml-pointer.ts";
import { callAsync, type NativeLibraries } from "#engine/native/library.ts";
import { Brake } from "./brake.ts";

/** What to compute on. */
export type DeviceOptions = {
  readonly libraries: NativeLibraries;
  /** CPU threads; more than there are cores makes steps many times slower. */
  readonly threads: number;
  /** Whether to compute on the CPU although the build brings a GPU: to compare them. */
  readonly onCpu?: boolean | undefined;
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
  readonly #brake: Brake;
  #isComputing = false;
  #open = true;

  private constructor(
    ggml: Ggml,
    device: DevicePointer,
    backend: BackendPointer,
    dry: DeviceOptions["dry"],
  ) {
    this.ggml = ggml;
    this.#brake = new Brake(ggml);
    this.#brake.fitTo(ggml.ggml_backend_dev_backend_reg(device), backend);
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
  static open({ libraries, threads, onCpu, dry }: DeviceOptions): Device {
    if (!Number.isInteger(threads) || threads < 1) {
      throw new RangeError(`expected a whole number of threads from 1, got ${threads}`);
    }
    const ggml = bindGgml(libraries);
    const device = chooseDevice(ggml, onCpu ?? false);
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
   * Runs a short graph to its end; the event loop waits.
   * @throws CodedError `native_failed`
   */
  compute(graph: GraphPointer): void {
    this.#assertReady();
    this.#judge(this.ggml.ggml_backend_graph_compute(this.backend, graph));
  }

  /**
   * Runs a graph beside the event loop. Until it has ended, the device takes nothing else.
   * @param signal ends it on the CPU after the running node, however much is left; what it wrote is then void
   * @throws CodedError `native_failed`, and the signal's reason
   */
  async computeAside(graph: GraphPointer, signal?: AbortSignal): Promise<void> {
    this.#assertReady();
    signal?.throwIfAborted();
    const pull = (): void => this.#brake.pull();
    signal?.addEventListener("abort", pull);
    this.#isComputing = true;
    try {
      const { ggml_backend_graph_compute } = this.ggml;
      const status = await callAsync(ggml_backend_graph_compute, this.backend, graph);
      if (status === GGML_STATUS_ABORTED) signal?.throwIfAborted();
      this.#judge(status);
    } finally {
      this.#isComputing = false;
      signal?.removeEventListener("abort", pull);
      this.#brake.release();
    }
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#assertIdle();
    this.#open = false;
    this.ggml.ggml_backend_free(this.backend);
    this.#brake[Symbol.dispose]();
  }

  #assertReady(): void {
    if (this.isDry) throw new Error("a dry device computes nothing");
    this.#assertIdle();
  }

  /** Native memory that a running computation reads must neither change nor go. */
  #assertIdle(): void {
    if (this.#isComputing) throw new Error(`the ${this.name} device is computing: await it first`);
  }

  #judge(status: number): void {
    if (status !== GGML_STATUS_SUCCESS) throw deviceFailed(`a computation ended with ${status}`);
  }
}

function chooseDevice(ggml: Ggml, onCpu: boolean): DevicePointer {
  const count = Number(ggml.ggml_backend_dev_count());
  const devices = Array.from({ length: count }, (_, index) => ggml.ggml_backend_dev_get(index));
  const { gpu, igpu, cpu } = GGML_BACKEND_DEVICE_TYPE;
  for (const wanted of onCpu ? [cpu] : [gpu, igpu, cpu]) {
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
