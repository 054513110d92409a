/** What products take beside a graph's own memory, while they run. */
import { countElements, isFloat, type Tensor } from "./tensor.ts";

/** The greatest product of one graph. */
export class ProductScratch {
  #cpuBytes = 0;
  #gpuBytes = 0;

  /** Takes note of aᵀ · b. */
  note(a: Tensor, b: Tensor): void {
    const operand = a.type === b.type ? 0 : 2 * countElements(b.ne);
    const result = 2 * a.ne[1] * b.ne[1] * b.ne[2] * b.ne[3];
    const weight = isFloat(a.type) ? 0 : 2 * countElements(a.ne);
    this.#cpuBytes = Math.max(this.#cpuBytes, operand);
    this.#gpuBytes = Math.max(this.#gpuBytes, operand + result + weight);
  }

  /**
   * Bytes: on the CPU b is converted to a's type (ggml-cpu's work buffer); on a GPU, at most, b, the result and a
   * quantised a are held in 16 bits too (ggml-cuda's pool).
   */
  bytes(isCpu: boolean): number {
    return isCpu ? this.#cpuBytes : this.#gpuBytes;
  }
}
