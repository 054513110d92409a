/** The whole model as one static graph for one batch shape: forward in slice 0, backward in slice 1. */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { Device } from "../ggml/device.ts";
import { Graph } from "../ggml/graph.ts";
import { writeTensor } from "../ggml/storage.ts";
import type { Tensor } from "../ggml/tensor.ts";
import type { LlamaShape } from "../gguf/llama-shape.ts";
import { type AttentionTrace, attentionBackward, attentionForward } from "./attention.ts";
import type { PackedBatch } from "./batch.ts";
import { dropoutPoolElements } from "./dropout.ts";
import { headBackward, headForward } from "./head.ts";
import { type MlpTrace, mlpBackward, mlpForward } from "./mlp.ts";
import { attentionSpans, type BatchShape, Pass, type PassInputs } from "./pass.ts";
import type { Block, Weights } from "./weights.ts";

/** What a graph is built for. */
export type ModelGraphOptions = {
  readonly device: Device;
  readonly weights: Weights;
  readonly batch: BatchShape;
  readonly workType: number;
  /** Whether adapters are left out. */
  readonly reference: boolean;
  readonly backward: boolean;
  /** Whether adapters' inputs are dropped from. */
  readonly dropout: boolean;
  /** Whether log-probabilities below `LEAST_LOGP` are exact, too, which takes longer. */
  readonly exactTails: boolean;
  /** Whether blocks keep their input only and are computed again on the way back. */
  readonly recomputes: boolean;
};

/** A built graph with the inputs to fill. */
export type ModelGraph = {
  readonly graph: Graph;
  readonly inputs: PassInputs;
  /** Whether blocks are computed twice. */
  readonly recomputes: boolean;
};

const NODES_A_BLOCK = 640;
const NODES_A_SPAN = 80;
const NODES_A_HEAD_CHUNK = 48;
const NODES_BESIDE = 64;
/** The smallest chunk of head.ts. */
const HEAD_CHUNK_ROWS = 32;

/**
 * Builds the graph that keeps what backward needs, or where its values would take more than `activationBytes`,
 * by the allocator's own measure, the one that computes blocks twice.
 */
export function buildFittingGraph(
  options: Omit<ModelGraphOptions, "recomputes">,
  activationBytes: number,
): ModelGraph {
  const keeping = buildModelGraph({ ...options, recomputes: false });
  if (!options.backward || keeping.graph.measure() <= activationBytes) return keeping;
  keeping.graph[Symbol.dispose]();
  return buildModelGraph({ ...options, recomputes: true });
}

/** Builds the graph and fills its constant inputs; it has no place in memory yet. */
function buildModelGraph(options: ModelGraphOptions): ModelGraph {
  const { device, weights, batch } = options;
  const graph = new Graph(device, maxNodes(weights, batch));
  try {
    const inputs = declareInputs(graph, options);
    graph.seal();
    fillConstants(device, weights, batch, inputs);
    const pass = new Pass({
      graph,
      inputs,
      batch,
      shape: weights.shape,
      rope: {
        dimensions: weights.shape.headDim,
        base: weights.shape.ropeTheta,
        frequencyFactors: weights.ropeFactors,
      },
      workType: options.workType,
      isCpu: device.isCpu,
      reference: options.reference,
    });
    addNodes(pass, options);
    return { graph, inputs, recomputes: options.recomputes };
  } catch (error) {
    graph[Symbol.dispose]();
    throw error;
  }
}

type BlockTrace = { readonly attention: AttentionTrace; readonly mlp: MlpTrace };

type Kept = { readonly block: Block; readonly x: Tensor; readonly trace: BlockTrace | undefined };

function addNodes(pass: Pass, options: ModelGraphOptions): void {
  const { weights, backward, recomputes, exactTails } = options;
  const { operators, inputs, graph } = pass;
  const keep = recomputes ? keepIn(pass, weights) : (x: Tensor) => x;
  let x = operators.getRows(weights.embedding, inputs.tokens);
  const blocks: Kept[] = [];
  for (const [layer, block] of weights.blocks.entries()) {
    x = keep(x, layer);
    const { y, trace } = blockForward(pass, block, x);
    blocks.push({ block, x, trace: recomputes ? undefined : trace });
    x = y;
  }
  const head = headForward(pass, weights, x, { backward, exactTails });
  if (!backward) return;
  graph.cut();
  let dx: Tensor | undefined = headBackward(pass, weights, head);
  for (const kept of blocks.toReversed()) {
    if (dx === undefined) break;
    graph.expand(dx);
    const trace = kept.trace ?? blockForward(pass, kept.block, kept.x).trace;
    dx = mlpBackward(pass, kept.block, trace.mlp, dx);
    dx = attentionBackward(pass, kept.block, trace.attention, dx);
  }
  if (dx === undefined) return;
  graph.expand(dx);
  embeddingBackward(pass, weights, dx);
}

/** Copies blocks' inputs to one place, so that all else can be let go. */
function keepIn({ graph, operators, batch }: Pass, { shape }: Weights) {
  const held = graph.hold(GGML_TYPE.f32, [shape.nEmbd, batch.nColumns, shape.nLayer]);
  return (x: Tensor, layer: number): Tensor => {
    const place = operators.slice(held, 2, layer, 1);
    const kept = operators.copyInto(x, place);
    graph.expand(kept);
    return kept;
  };
}

function blockForward(pass: Pass, block: Block, x: Tensor): { y: Tensor; trace: BlockTrace } {
  const attention = attentionForward(pass, block, x);
  const mlp = mlpForward(pass, block, attention.y);
  return { y: mlp.y, trace: { attention: attention.trace, mlp: mlp.trace } };
}

function embeddingBackward(pass: Pass, weights: Weights, dx: Tensor): void {
  if (weights.embeddingGradient === undefined) return;
  const rows = pass.operators.getRowsBack(dx, pass.inputs.tokens, weights.embeddingGradient);
  pass.accumulate(weights.embeddingGradient, rows);
}

function declareInputs(graph: Graph, { weights, batch, dropout }: ModelGraphOptions): PassInputs {
  const { nTokens, nSequences, nColumns, nShared, nScored } = batch;
  const { shape } = weights;
  const group = shape.nHead / shape.nHeadKv;
  const { f32, i32 } = GGML_TYPE;
  return {
    tokens: graph.input(i32, [nColumns]),
    positions: graph.input(i32, [nColumns]),
    cellColumns: graph.input(i32, [nTokens * nSequences]),
    ownColumns: graph.input(i32, [nTokens * nSequences]),
    columnCells: graph.input(i32, [nColumns]),
    sharedCells: nShared === 0 ? undefined : graph.input(i32, [nShared]),
    scoredColumns: graph.input(i32, [nScored]),
    scoredCells: graph.input(i32, [nScored]),
    labels: graph.input(i32, [1, nScored]),
    everyRow: turnsWeights(weights) ? graph.input(i32, [longestWeight(shape)]) : undefined,
    masks: attentionSpans(batch).map(({ from, to }) => graph.input(f32, [to, (to - from) * group])),
    ones: graph.input(f32, [1, Math.max(nColumns, nScored)]),
    weights: graph.input(f32, [1, nScored]),
    logps: graph.input(f32, [1, nScored]),
    dropout: dropout
      ? graph.input(f32, [dropoutPoolElements(weights, Math.max(nColumns, nScored))])
      : undefined,
  };
}

/** Writes a batch's layout into a graph of its shape. */
export function fillBatch(device: Device, inputs: PassInputs, packed: PackedBatch): void {
  const { tokens, positions, cellColumns, ownColumns, columnCells, scoredColumns, scoredCells } =
    packed;
  writeTensor(device, inputs.tokens, tokens);
  writeTensor(device, inputs.positions, positions);
  writeTensor(device, inputs.cellColumns, cellColumns);
  writeTensor(device, inputs.ownColumns, ownColumns);
  writeTensor(device, inputs.columnCells, columnCells);
  writeTensor(device, inputs.scoredColumns, scoredColumns);
  writeTensor(device, inputs.scoredCells, scoredCells);
  writeTensor(device, inputs.labels, packed.labels);
  if (inputs.sharedCells !== undefined) {
    writeTensor(device, inputs.sharedCells, packed.sharedCells);
  }
}

function fillConstants(
  device: Device,
  { shape }: Weights,
  batch: BatchShape,
  { masks, ones, everyRow }: PassInputs,
): void {
  if (everyRow !== undefined) {
    writeTensor(
      device,
      everyRow,
      Int32Array.from({ length: everyRow.ne[0] }, (_, i) => i),
    );
  }
  writeTensor(device, ones, new Float32Array(ones.ne[1]).fill(1));
  const group = shape.nHead / shape.nHeadKv;
  for (const [index, { from }] of attentionSpans(batch).entries()) {
    const mask = masks[index];
    if (mask !== undefined)
      writeTensor(device, mask, causalMask(mask.ne[0], mask.ne[1], from, group));
  }
}

function turnsWeights({ blocks }: Weights): boolean {
  return blocks.some(({ down }) => down.backward === undefined);
}

function longestWeight({ nEmbd, nFf, nHead, headDim }: LlamaShape): number {
  return Math.max(nEmbd, nFf, nHead * headDim);
}

/** Row r belongs to the query at `from` + ⌊r / group⌋, which sees the keys up to itself. */
function causalMask(keys: number, rows: number, from: number, group: number): Float32Array {
  const mask = new Float32Array(keys * rows);
  for (let row = 0; row < rows; row++) {
    const query = from + Math.floor(row / group);
    mask.fill(Number.NEGATIVE_INFINITY, row * keys + query + 1, (row + 1) * keys);
  }
  return mask;
}

function maxNodes({ shape }: Weights, batch: BatchShape): number {
  const block = NODES_A_BLOCK + NODES_A_SPAN * attentionSpans(batch).length;
  const head = Math.ceil(batch.nScored / HEAD_CHUNK_ROWS) * NODES_A_HEAD_CHUNK;
  return shape.nLayer * block + head + NODES_BESIDE;
}
