/**
 * Zephyr-7B's files by quantisation, and which of them suits the memory at hand. It downloads nothing.
 * Sizes and files: https://huggingface.co/TheBloke/zephyr-7B-beta-GGUF.
 */

/** A file of the model. */
export type ZephyrFile = {
  readonly quantisation: string;
  readonly file: string;
  readonly bytes: number;
  /** In a few words, for people. */
  readonly quality: string;
};

/** The repository that has them. */
export const ZEPHYR_REPO = "TheBloke/zephyr-7B-beta-GGUF";

const GIGABYTE = 1e9;

/** From the largest to the smallest. */
export const ZEPHYR_FILES: readonly ZephyrFile[] = [
  fileOf("Q8_0", 7.7, "no loss to speak of"),
  fileOf("Q6_K", 5.94, "hardly any loss"),
  fileOf("Q5_K_M", 5.13, "very little loss"),
  fileOf("Q4_K_M", 4.37, "little loss: the usual choice"),
  fileOf("Q3_K_M", 3.52, "noticeable loss"),
  fileOf("Q2_K", 3.08, "great loss: only where nothing else fits"),
];

/** Keys and values of a token: 32 layers of 8 heads of 128 numbers, twice, F16. */
const CACHE_BYTES_PER_TOKEN = 32 * 8 * 128 * 2 * 2;
/** Compute buffers, and everyone else on the machine. */
const SPARE_BYTES = 1.2 * GIGABYTE;
/** More would be wasted before people notice a difference, less would make them wait. */
const CACHED_STREAMS = 4;

function fileOf(quantisation: string, gigabytes: number, quality: string): ZephyrFile {
  const file = `zephyr-7b-beta.${quantisation}.gguf`;
  return { quantisation, file, bytes: gigabytes * GIGABYTE, quality };
}

/** What a file needs to be served with, bytes. @param contextTokens of one conversation */
export function neededBytes({ bytes }: ZephyrFile, contextTokens: number): number {
  return bytes + CACHED_STREAMS * contextTokens * CACHE_BYTES_PER_TOKEN + SPARE_BYTES;
}

/** The best file that fits; undefined where none does. */
export function bestFit(availableBytes: number, contextTokens: number): ZephyrFile | undefined {
  return ZEPHYR_FILES.find((file) => neededBytes(file, contextTokens) <= availableBytes);
}
