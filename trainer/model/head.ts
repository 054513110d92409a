/**
 * The output norm and head for scored tokens only, in chunks of rows, so that logits are never kept.
 * Every preference loss is a function of log-probabilities: (softmax − onehot) W is computed at once, and
 * multiplied by the loss's weights when they are known.
 */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { Tensor } from "../ggml/tensor.ts";
import { type NormTrace, normBackward, normForward } from "./norm.ts";
import type { Pass } from "./pass.ts";
import type { Weights } from "./weights.ts";

/** Logits held at once, in elements: 8 MiB of F32 on the CPU, whose caches are small; 128 MiB on a GPU. */
const CHUNK_ELEMENTS = { cpu: 2 ** 21, gpu: 2 ** 25 };
/** A chunk's rows are a multiple of this: products over rows are fast for multiples of 32. */
const CHUNK_ROWS = 32;

/** Log-probabilities above this are exact without `exactTails`: softmax is a normal F32 number from e^−87 on. */
export const LEAST_LOGP = -80;

/** What backward needs of the head's forward pass. */
export type HeadTrace = {
  readonly norm: NormTrace;
  /** The normed columns [d, scored]. */
  readonly h: Tensor;
  /** (softmax − onehot) W [d, scored], kept between the slices; undefined without a backward pass. */
  readonly gradient: Tensor | undefined;
  /** (softmax − onehot)ᵀ of each chunk [rows, vocabulary]; empty while the head is frozen. */
  readonly errorsT: readonly Tensor[];
};

/**
 * From the last block's columns [d, scored]: writes the log-probabilities of the scored tokens; with `backward`,
 * what its gradient needs too.
 */
export function headForward(
  pass: Pass,
  weights: Weights,
  x: Tensor,
  { backward, exactTails }: { readonly backward: boolean; readonly exactTails: boolean },
): HeadTrace {
  const { operators, batch, graph, inputs } = pass;
  const norm = normForward(pass, weights.outputNorm, x);
  const errorsT: Tensor[] = [];
  const gradient = backward ? graph.hold(GGML_TYPE.f32, x.ne) : undefined;
  const rows = chunkRows(weights.shape.nVocab, pass.isCpu);
  for (let from = 0; from < batch.nScored; from += rows) {
    const count = Math.min(rows, batch.nScored - from);
    const h = operators.slice(norm.y, 1, from, count);
    const logits = operators.mulMat(weights.head.forward, h);
    const logpsOf = exactTails ? exactLogps : plainLogps;
    const { p, logps } = logpsOf(pass, logits, operators.slice(inputs.labels, 1, from, count));
    const out = operators.slice(inputs.logps, 1, from, count);
    graph.expand(operators.copyInto(operators.reshape(logps, 1, count), out));
    if (gradient === undefined) continue;
    const error = subtractOnehot(pass, p, from, count);
    const product = operators.mulMat(pass.turned(weights.head), error);
    if (weights.head.gradient !== undefined) {
      const errorT = pass.transposed(error);
      graph.expand(errorT);
      errorsT.push(errorT);
    }
    graph.expand(operators.copyInto(product, operators.slice(gradient, 1, from, count)));
  }
  return { norm: norm.trace, h: norm.y, gradient, errorsT };
}

/** From the loss's weights: adds to the gradients, returns the gradient of the last block's columns [d, scored]. */
export function headBackward(pass: Pass, weights: Weights, trace: HeadTrace): Tensor {
  const { operators, inputs, batch } = pass;
  if (trace.gradient === undefined) throw new Error("a head without a backward pass");
  const dh = operators.mul(trace.gradient, inputs.weights);
  if (weights.head.gradient !== undefined) {
    const weighted = operators.mul(trace.h, inputs.weights);
    const rows = chunkRows(weights.shape.nVocab, pass.isCpu);
    for (const [index, errorT] of trace.errorsT.entries()) {
      const from = index * rows;
      const chunk = operators.slice(weighted, 1, from, Math.min(rows, batch.nScored - from));
      const dw = operators.mulMat(pass.pack(operators.transpose(chunk)), errorT);
      pass.accumulate(weights.head.gradient, dw);
    }
  }
  return normBackward(pass, weights.outputNorm, trace.norm, dh);
}

/** Rows of a chunk: whole multiples of 32 within the bound. */
function chunkRows(nVocab: number, isCpu: boolean): number {
  const elements = isCpu ? CHUNK_ELEMENTS.cpu : CHUNK_ELEMENTS.gpu;
  return Math.max(CHUNK_ROWS, Math.floor(elements / nVocab / CHUNK_ROWS) * CHUNK_ROWS);
}

/** Bytes of the logits that are held at once. */
export function logitBytes(nVocab: number, isCpu: boolean): number {
  return 4 * nVocab * chunkRows(nVocab, isCpu);
}

type Scored = { readonly p: Tensor; readonly logps: Tensor };

/** log p as the logarithm of softmax at the label: −∞ where that is too small for a number. */
function plainLogps({ operators, graph }: Pass, logits: Tensor, labels: Tensor): Scored {
  const p = operators.softMax(logits, null, 1);
  const [nVocab, count] = p.ne;
  const logps = operators.log(operators.getRows(operators.reshape(p, 1, nVocab, count), labels));
  // Read before the one-hot is subtracted in place.
  graph.expand(logps);
  return { p, logps };
}

/**
 * log p = logit − logsumexp, where logsumexp = max logit − log(softmax there): exact for any logits. The CPU looks
 * for the greatest with one thread, which takes a hundredth of a step.
 */
function exactLogps({ operators, graph }: Pass, logits: Tensor, labels: Tensor): Scored {
  const [nVocab, count] = logits.ne;
  const cells = operators.reshape(logits, 1, nVocab, count);
  const greatest = operators.reshape(operators.argmax(logits), 1, count);
  const labelLogit = operators.getRows(cells, labels);
  const greatestLogit = operators.getRows(cells, greatest);
  // Both are read before softmax, which then may work in place.
  graph.expand(labelLogit, greatestLogit);
  const p = operators.softMax(logits, null, 1);
  const pGreatest = operators.getRows(operators.reshape(p, 1, nVocab, count), greatest);
  const difference = operators.add(labelLogit, operators.scale(greatestLogit, -1));
  return { p, logps: operators.add(difference, operators.log(pGreatest)) };
}

/** softmax − onehot of the labels, written over p [vocabulary, rows]. */
function subtractOnehot(pass: Pass, p: Tensor, from: number, count: number): Tensor {
  const { operators, inputs, graph } = pass;
  const nVocab = p.ne[0];
  const cells = operators.reshape(p, 1, nVocab, count);
  const labels = operators.slice(inputs.labels, 1, from, count);
  const lowered = operators.scale(operators.getRows(cells, labels), 1, -1);
  graph.expand(lowered);
  return operators.reshape(operators.setRows(cells, lowered, labels), nVocab, count);
}
