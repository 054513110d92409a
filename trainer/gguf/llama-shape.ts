/** The sizes of a llama-architecture model, and which tensors of which shapes they call for. */

/** Sizes and constants, as `llama.*` keys of a GGUF name them. */
export type LlamaShape = {
  readonly nLayer: number;
  readonly nEmbd: number;
  /** Query heads; a multiple of `nHeadKv`. */
  readonly nHead: number;
  readonly nHeadKv: number;
  /** Even, since RoPE turns pairs. */
  readonly headDim: number;
  readonly nFf: number;
  readonly nVocab: number;
  readonly ropeTheta: number;
  readonly rmsEps: number;
  /** Whether the head shares the embedding's weights (no `output.weight`). */
  readonly tied: boolean;
  readonly contextTokens: number;
};

/** A tensor's name and its dimensions in ggml's order (row length first). */
export type TensorShape = { readonly name: string; readonly ne: readonly number[] };

/** Every tensor that libllama expects of such a model (src/models/llama.cpp), in the usual order. */
export function llamaTensors(shape: LlamaShape): TensorShape[] {
  const { nEmbd, nVocab } = shape;
  const tensors: TensorShape[] = [{ name: "token_embd.weight", ne: [nEmbd, nVocab] }];
  for (let layer = 0; layer < shape.nLayer; layer++) tensors.push(...layerTensors(shape, layer));
  tensors.push({ name: "output_norm.weight", ne: [nEmbd] });
  if (!shape.tied) tensors.push({ name: "output.weight", ne: [nEmbd, nVocab] });
  return tensors;
}

function layerTensors(shape: LlamaShape, layer: number): TensorShape[] {
  const { nEmbd, nFf, headDim } = shape;
  const nQuery = shape.nHead * headDim;
  const nKey = shape.nHeadKv * headDim;
  const named = (name: string, ...ne: number[]) => ({ name: `blk.${layer}.${name}.weight`, ne });
  return [
    named("attn_norm", nEmbd),
    named("attn_q", nEmbd, nQuery),
    named("attn_k", nEmbd, nKey),
    named("attn_v", nEmbd, nKey),
    named("attn_output", nQuery, nEmbd),
    named("ffn_norm", nEmbd),
    named("ffn_gate", nEmbd, nFf),
    named("ffn_up", nEmbd, nFf),
    named("ffn_down", nFf, nEmbd),
  ];
}
