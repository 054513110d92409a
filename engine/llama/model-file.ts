/**
 * Checks a base model's GGUF before libllama reads it: libllama refuses most bad files, but divides by some of
 * their numbers first. It reads metadata only.
 */
import { CodedError } from "../base/errors.ts";
import type { GgufFile } from "../native/gguf.ts";

/** What Llama's, Mistral's and so Zephyr's GGUF files name; the trainer knows no other. */
const CHAT_ARCHITECTURES = ["llama"];
/** Those of guard models besides: Llama Guard's is llama, Qwen3Guard's is qwen3. */
export const GUARD_ARCHITECTURES: readonly string[] = ["llama", "qwen3"];
/** llama-hparams.h, LLAMA_MAX_LAYERS: libllama aborts above it. */
const MAX_LAYERS = 512;
/** Far above any real model; keeps a wrong number from asking for absurd memory. */
const MAX_COUNT = 1 << 20;
const ROPE_SCALINGS: readonly unknown[] = [undefined, "none", "linear", "yarn", "longrope"];

/**
 * Checks the numbers that the architecture is built from and the vocabulary's lists.
 * @param architectures the ones to accept; by default those that chat is served with
 * @throws CodedError `model_invalid` naming what is wrong and what to do
 */
export function checkModelFile(
  file: GgufFile,
  architectures: readonly string[] = CHAT_ARCHITECTURES,
): void {
  const type = file.value("general.type");
  if (type !== undefined && type !== "model") {
    throw invalid(file.path, `it holds ${JSON.stringify(type)}, not a model`);
  }
  const architecture = file.string("general.architecture");
  if (!architectures.includes(architecture)) {
    throw invalid(
      file.path,
      `its architecture is ${JSON.stringify(architecture)}; ${architectures.map((name) => `"${name}"`).join(" or ")} is served, which Mistral and Zephyr are`,
    );
  }
  checkShape(file, architecture);
  checkVocabulary(file);
  if (file.tensors.length === 0) throw invalid(file.path, "it holds no weights");
}

function checkShape(file: GgufFile, architecture: string): void {
  const countOf = (name: string, least: number, most: number, otherwise?: number) =>
    count(file, `${architecture}.${name}`, least, most, otherwise);
  countOf("block_count", 1, MAX_LAYERS);
  countOf("context_length", 1, MAX_COUNT);
  const width = countOf("embedding_length", 1, MAX_COUNT);
  const heads = countOf("attention.head_count", 1, MAX_COUNT);
  const keyHeads = countOf("attention.head_count_kv", 1, MAX_COUNT, heads);
  if (file.value(`${architecture}.attention.key_length`) === undefined && width % heads !== 0) {
    throw invalid(file.path, `${heads} attention heads do not divide a width of ${width}`);
  }
  if (heads % keyHeads !== 0) {
    throw invalid(file.path, `${keyHeads} key heads do not divide ${heads} attention heads`);
  }
  const experts = countOf("expert_count", 0, 1024, 0);
  countOf("expert_used_count", Math.min(1, experts), experts, 0);
  countOf("expert_group_count", 0, 0, 0);
  const scaling = file.value(`${architecture}.rope.scaling.type`);
  if (!ROPE_SCALINGS.includes(scaling)) {
    throw invalid(
      file.path,
      `${architecture}.rope.scaling.type ${JSON.stringify(scaling)} is unknown`,
    );
  }
}

/** A count within its range; `otherwise` where the file has none, else it must be there. */
function count(
  file: GgufFile,
  key: string,
  least: number,
  most: number,
  otherwise?: number,
): number {
  const value = otherwise === undefined ? file.number(key) : file.numberOr(key, otherwise);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw invalid(file.path, `${key} should be a count from ${least} to ${most}, found ${value}`);
}

/**
 * Checks the vocabulary's lists: libllama ends the process on two tokens of one text, and, while it tokenises, on a
 * byte that a SentencePiece vocabulary has no token for.
 * @throws CodedError `model_invalid`
 */
export function checkVocabulary(file: GgufFile): void {
  const tokens = file.value("tokenizer.ggml.tokens");
  if (!isTextList(tokens) || tokens.length === 0) {
    throw invalid(file.path, "it holds no vocabulary (tokenizer.ggml.tokens)");
  }
  const distinct = new Set(tokens.map((text, id) => (text === "" ? `[EMPTY_${id}]` : text)));
  if (distinct.size !== tokens.length) {
    throw invalid(file.path, "two of its tokens have the same text");
  }
  if (file.value("tokenizer.ggml.model") === "llama") checkBytes(file.path, distinct);
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
  checkSpecialTokens(file, tokens.length);
}

function checkSpecialTokens(file: GgufFile, tokens: number): void {
  for (const name of ["bos", "eos", "unknown"]) {
    const id = file.value(`tokenizer.ggml.${name}_token_id`);
    if (id === undefined) continue;
    if (typeof id !== "number" || id < 0 || id >= tokens) {
      throw invalid(file.path, `tokenizer.ggml.${name}_token_id is not one of its tokens`);
    }
  }
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}

function checkBytes(path: string, tokens: ReadonlySet<string>): void {
  for (let byte = 0; byte < 256; byte += 1) {
    const name = `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
    if (tokens.has(name) || (byte < 128 && tokens.has(String.fromCharCode(byte)))) continue;
    throw invalid(path, `its vocabulary has no token ${name}`);
  }
}

function invalid(path: string, why: string): CodedError {
  return new CodedError(`${path} is not a usable model: ${why}. Fetch or make the file again.`, {
    code: "model_invalid",
  });
}
