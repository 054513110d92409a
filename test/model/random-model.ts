/** Makes complete little llama-architecture models with random weights, so that tests need no download. */
import { ZEPHYR_JINJA } from "#engine/llama/chat-template.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import type { WeightType } from "#trainer/gguf/encode.ts";
import { type LlamaShape, llamaTensors, type TensorShape } from "#trainer/gguf/llama-shape.ts";
import { writeModelGguf } from "#trainer/gguf/model-file.ts";
import { byteToken, TOKEN_TYPE, type TokenTable } from "#trainer/gguf/tokenizer-metadata.ts";

/** What to make; what is left out comes from `TINY_SHAPE`. `nVocab` follows from the vocabulary. */
export type RandomModelOptions = {
  readonly libraries: NativeLibraries;
  readonly shape?: Partial<Omit<LlamaShape, "nVocab" | "tied">>;
  /** Matrices' type; K-quants want `nEmbd`, `nFf` and `nHead · headDim` in multiples of 256. */
  readonly type?: WeightType;
  readonly tied?: boolean;
  readonly seed?: number;
  readonly vocabulary?: TokenTable;
  /** The first so many tokens of the vocabulary are as good as never drawn; not for tied models. */
  readonly mutedTokens?: number;
};

/** Small enough for finite differences, with grouped queries (two heads to a key). */
export const TINY_SHAPE: Omit<LlamaShape, "nVocab" | "tied"> = {
  nLayer: 2,
  nEmbd: 64,
  nHead: 4,
  nHeadKv: 2,
  headDim: 16,
  nFf: 96,
  ropeTheta: 10_000,
  rmsEps: 1e-5,
  contextTokens: 256,
};

/**
 * Writes a model that libllama loads: SentencePiece vocabulary with byte fallback, BOS, EOS, Zephyr's
 * template, weights drawn so that activations stay near 1 and logits differ. Same options, same bytes.
 */
export function writeRandomModel(
  path: string,
  options: RandomModelOptions,
): { shape: LlamaShape; sha256: string; bytes: number } {
  const tokens = options.vocabulary ?? smallVocabulary();
  const tied = options.tied ?? false;
  const shape = { ...TINY_SHAPE, ...options.shape, tied, nVocab: tokens.tokens.length };
  const seed = options.seed ?? 1;
  const header = { name: "random", shape, tokens, chatTemplate: ZEPHYR_JINJA };
  const tensors = llamaTensors(shape).map((tensor, index) => ({
    ...tensor,
    values: () => {
      const values = randomValues(tensor, tied, SeededRandom.from(seed, index));
      const [rowLength = 1] = tensor.ne;
      if (tensor.name === "output.weight")
        values.fill(0, 0, (options.mutedTokens ?? 0) * rowLength);
      return values;
    },
  }));
  const type = options.type ?? "f32";
  return {
    shape,
    ...writeModelGguf(path, { libraries: options.libraries, from: header, tensors, type }),
  };
}

function randomValues(
  { name, ne }: TensorShape,
  tied: boolean,
  random: SeededRandom,
): Float32Array {
  const [rowLength = 1] = ne;
  const values = new Float32Array(ne.reduce((product, count) => product * count, 1));
  if (name.endsWith("norm.weight")) return values.map(() => 1 + 0.1 * random.gaussian());
  // A tied head with long embedding rows would only ever repeat the last token.
  const deviation = name === "token_embd.weight" && !tied ? 1 : 1 / Math.sqrt(rowLength);
  return values.map(() => deviation * random.gaussian());
}

const MERGED =
  "▁t he ▁a in re on er ▁the ou ▁w at nd ▁s ▁and ing or ll ▁you is en it ▁i hello ▁hello".split(
    " ",
  );
const PARTS = "hel lo ▁hel".split(" ");
const PRINTABLE = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));

/** 387 tokens: the special three, 256 bytes, a few merges, single characters (`\n` goes by its byte). */
export function smallVocabulary(): TokenTable {
  const special = ["<unk>", "<s>", "</s>"];
  const bytes = Array.from({ length: 256 }, (_, byte) => byteToken(byte));
  const pieces = [...PARTS, ...MERGED, "▁", ...PRINTABLE, "é", "ü", "😀"];
  const tokens = [...special, ...bytes, ...pieces];
  const types = tokens.map((_, id) => {
    if (id === 0) return TOKEN_TYPE.unknown;
    if (id < special.length) return TOKEN_TYPE.control;
    return id < special.length + bytes.length ? TOKEN_TYPE.byte : TOKEN_TYPE.normal;
  });
  const scores = tokens.map((_, id) => -Math.max(0, id - special.length - bytes.length + 1));
  return {
    tokens,
    scores: Float32Array.from(scores),
    types: Int32Array.from(types),
    bos: 1,
    eos: 2,
    unknown: 0,
    addSpacePrefix: true,
  };
}
