/**
 * Checks a base model's GGUF before libllama reads it: libllama refuses most bad files, but divides by some of
 * their numbers first. It reads metadata only.
 */
import { CodedError } from "../base/errors.ts";
import type { GgufFile } from "../native/gguf.ts";

/** Upper bounds far above any real model; they keep wrong numbers from asking for absurd memory. */
const MAX_COUNT = 1 << 20;

/**
 * Checks the numbers that the architecture is built from and the vocabulary's lists.
 * @throws CodedError `model_invalid` naming what is wrong and what to do
 */
export function checkModelFile(file: GgufFile): void {
  const type = file.value("general.type");
  if (type !== undefined && type !== "model") {
    throw invalid(file.path, `it holds ${JSON.stringify(type)}, not a model`);
  }
  const architecture = file.string("general.architecture");
  checkShape(file, architecture);
  checkVocabulary(file);
  if (file.tensors.length === 0) throw invalid(file.path, "it holds no weights");
}

function checkShape(file: GgufFile, architecture: string): void {
  const positive = (name: string): number => {
    const value = file.number(`${architecture}.${name}`);
    if (Number.isInteger(value) && value > 0 && value <= MAX_COUNT) return value;
    throw invalid(file.path, `${architecture}.${name} should be a positive count, found ${value}`);
  };
  positive("block_count");
  positive("context_length");
  const width = positive("embedding_length");
  // Some architectures give a count for each layer; those libllama checks itself.
  if (typeof file.value(`${architecture}.attention.head_count`) !== "number") return;
  const heads = positive("attention.head_count");
  if (file.value(`${architecture}.attention.key_length`) === undefined && width % heads !== 0) {
    throw invalid(file.path, `${heads} attention heads do not divide a width of ${width}`);
  }
  if (typeof file.value(`${architecture}.attention.head_count_kv`) !== "number") return;
  const keyHeads = positive("attention.head_count_kv");
  if (heads % keyHeads !== 0) {
    throw invalid(file.path, `${keyHeads} key heads do not divide ${heads} attention heads`);
  }
}

function checkVocabulary(file: GgufFile): void {
  const tokens = file.value("tokenizer.ggml.tokens");
  if (!Array.isArray(tokens) || tokens.length === 0) {
    throw invalid(file.path, "it holds no vocabulary (tokenizer.ggml.tokens)");
  }
  for (const list of ["scores", "token_type"]) {
    const values = file.value(`tokenizer.ggml.${list}`);
    if (values === undefined) continue;
    if (!Array.isArray(values) || values.length !== tokens.length) {
      throw invalid(
        file.path,
        `tokenizer.ggml.${list} should have an entry for each of ${tokens.length} tokens`,
      );
    }
  }
  for (const name of ["bos", "eos", "unknown"]) {
    const id = file.value(`tokenizer.ggml.${name}_token_id`);
    if (id === undefined) continue;
    if (typeof id !== "number" || id < 0 || id >= tokens.length) {
      throw invalid(file.path, `tokenizer.ggml.${name}_token_id is not one of its tokens`);
    }
  }
}

function invalid(path: string, why: string): CodedError {
  return new CodedError(`${path} is not a usable model: ${why}. Fetch or make the file again.`, {
    code: "model_invalid",
  });
}
