/**
 * A run's whole state in one file: parameters, optimiser, place in the data, clocks. Written atomically, closed
 * by a sha256, and the one before is kept. It does not know what the numbers mean.
 */
import { createHash, type Hash } from "node:crypto";
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { writeChunksAtomic } from "#engine/base/atomic-file.ts";
import { CodedError, isCoded } from "#engine/base/errors.ts";
import type { Moments, Trainable } from "../model/trainable.ts";

/** The part of a model that a checkpoint saves and restores. */
export type CheckpointedModel = Pick<
  Trainable,
  "parameters" | "readParameter" | "writeParameter" | "readOptimizer" | "writeOptimizer"
>;

const word = z.number().int().min(0).max(0xffff_ffff);
const count = z.number().int().min(0);
const stateSchema = z.object({
  /** Of options, data and parameters: a checkpoint of another run is not taken up. */
  fingerprint: z.string(),
  /** Optimiser steps done. */
  step: count,
  position: z.object({
    epoch: count,
    batch: count,
    random: z.tuple([word, word, word, word]).readonly(),
  }),
  /** Training time so far, which a time limit counts. */
  elapsedMs: z.number().min(0),
  /** Tokens trained on so far. */
  tokens: count,
});
const headerSchema = z.object({
  state: stateSchema,
  optimizerStep: count,
  tensors: z.array(z.object({ name: z.string(), length: count, moments: z.boolean() })),
});

/** All of a run's state but the model's. */
export type RunState = z.infer<typeof stateSchema>;
type Header = z.infer<typeof headerSchema>;

const MAGIC = Buffer.from("ZEPHYRC1");
const LENGTH_BYTES = 4;
const HASH_BYTES = 32;
const CHUNK_BYTES = 1 << 22;
const KEPT = 2;
const NAME = /^step-(\d{8})\.checkpoint$/;

/**
 * Saves the run into `folder` and removes all but the newest two checkpoints, and what a killed process left.
 * @param keptSteps steps whose checkpoints stay, too
 * @throws CodedError `disk_full`; older checkpoints then still stand
 */
export function writeCheckpoint(
  folder: string,
  state: RunState,
  model: CheckpointedModel,
  keptSteps: readonly number[] = [],
): void {
  writeChunksAtomic(join(folder, fileOf(state.step)), sealed(contents(state, model)));
  const surplus = checkpoints(folder)
    .slice(KEPT)
    .filter(({ step }) => !keptSteps.includes(step));
  const leftBehind = readdirSync(folder).filter((file) => file.endsWith(".tmp"));
  for (const file of [...surplus.map((each) => each.file), ...leftBehind])
    rmSync(join(folder, file));
}

/** What `restoreCheckpoint` found. */
export type Restored = {
  /** Undefined when the folder holds no checkpoint: the run begins at its start. */
  readonly state: RunState | undefined;
  /** Names of newer checkpoints that were damaged and passed over. */
  readonly damaged: readonly string[];
};

/**
 * Puts the newest intact checkpoint back into the model.
 * @throws CodedError `checkpoint_corrupt` when there are checkpoints and all are damaged,
 *   `checkpoint_mismatch` when they belong to a run with other data or options
 */
export function restoreCheckpoint(
  folder: string,
  fingerprint: string,
  model: CheckpointedModel,
): Restored {
  const damaged: string[] = [];
  let cause: unknown;
  for (const { file } of checkpoints(folder)) {
    try {
      return { state: restore(join(folder, file), fingerprint, model), damaged };
    } catch (error) {
      if (!isCoded(error, "checkpoint_corrupt")) throw error;
      cause = error;
      damaged.push(file);
    }
  }
  if (damaged.length === 0) return { state: undefined, damaged };
  throw new CodedError(
    `All checkpoints in ${folder} are damaged (${damaged.join(", ")}). Remove the folder to train from the start.`,
    { code: "checkpoint_corrupt", cause },
  );
}

/** Whether there is a checkpoint of that step. */
export function hasCheckpoint(folder: string, step: number): boolean {
  return existsSync(join(folder, fileOf(step)));
}

/**
 * Puts the parameters that a run had at `step` back into the model.
 * @throws CodedError `checkpoint_corrupt`, `checkpoint_mismatch`
 */
export function restoreStep(
  folder: string,
  step: number,
  fingerprint: string,
  model: CheckpointedModel,
): void {
  if (!hasCheckpoint(folder, step)) {
    throw new CodedError(
      `The checkpoint of step ${step}, the best one, is gone from ${folder}. Remove the folder to train from the start.`,
      { code: "checkpoint_corrupt" },
    );
  }
  restore(join(folder, fileOf(step)), fingerprint, model);
}

function fileOf(step: number): string {
  return `step-${String(step).padStart(8, "0")}.checkpoint`;
}

/** Newest first. */
function checkpoints(folder: string): { file: string; step: number }[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((file) => {
      const step = NAME.exec(file)?.[1];
      return step === undefined ? [] : [{ file, step: Number(step) }];
    })
    .toSorted((a, b) => b.step - a.step);
}

function* contents(state: RunState, model: CheckpointedModel): Generator<Uint8Array> {
  const optimizer = model.readOptimizer();
  const values = model
    .parameters()
    .map(({ name }) => ({ name, values: model.readParameter(name) }));
  const header: Header = {
    state,
    optimizerStep: optimizer.step,
    tensors: values.map(({ name, values: { length } }) => {
      return { name, length, moments: optimizer.moments.has(name) };
    }),
  };
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(json.length);
  yield Buffer.concat([MAGIC, length, json]);
  for (const tensor of values) {
    yield bytesOf(tensor.values);
    const moments = optimizer.moments.get(tensor.name);
    if (moments !== undefined) yield* [bytesOf(moments.m), bytesOf(moments.v)];
  }
}

function* sealed(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
  const hash = createHash("sha256");
  for (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
  yield hash.digest();
}

function restore(path: string, fingerprint: string, model: CheckpointedModel): RunState {
  const file = openSync(path, "r");
  try {
    const bytes = fstatSync(file).size;
    verifyHash(file, bytes, path);
    const { header, dataOffset } = readHeader(file, path);
    if (header.state.fingerprint !== fingerprint) {
      throw new CodedError(
        `${path} belongs to a run with other data, model or options. Use another run folder, or remove this one to train from the start.`,
        { code: "checkpoint_mismatch" },
      );
    }
    readTensors(file, dataOffset, header, model);
    return header.state;
  } finally {
    closeSync(file);
  }
}

function verifyHash(file: number, bytes: number, path: string): void {
  const hashed = bytes - HASH_BYTES;
  const hash: Hash = createHash("sha256");
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let at = 0; at < hashed; ) {
    const read = readSync(file, chunk, 0, Math.min(CHUNK_BYTES, hashed - at), at);
    if (read === 0) break;
    hash.update(chunk.subarray(0, read));
    at += read;
  }
  const stored = Buffer.alloc(HASH_BYTES);
  if (hashed > 0) readSync(file, stored, 0, HASH_BYTES, hashed);
  if (hashed <= 0 || !stored.equals(hash.digest())) {
    throw new CodedError(`${path} does not match its hash: it was cut short or changed.`, {
      code: "checkpoint_corrupt",
    });
  }
}

function readHeader(file: number, path: string): { header: Header; dataOffset: number } {
  const start = MAGIC.length + LENGTH_BYTES;
  const fixed = readBytes(file, 0, start);
  if (!fixed.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new CodedError(`${path} is not a checkpoint of this release.`, {
      code: "checkpoint_corrupt",
    });
  }
  const length = fixed.readUInt32LE(MAGIC.length);
  const header = headerSchema.parse(JSON.parse(readBytes(file, start, length).toString("utf8")));
  return { header, dataOffset: start + length };
}

function readTensors(
  file: number,
  dataOffset: number,
  header: Header,
  model: CheckpointedModel,
): void {
  let at = dataOffset;
  const next = (length: number): Float32Array => {
    const bytes = readBytes(file, at, length * Float32Array.BYTES_PER_ELEMENT);
    at += bytes.length;
    return new Float32Array(bytes.buffer, bytes.byteOffset, length);
  };
  const moments = new Map<string, Moments>();
  for (const tensor of header.tensors) {
    model.writeParameter(tensor.name, next(tensor.length));
    if (!tensor.moments) continue;
    moments.set(tensor.name, { m: next(tensor.length), v: next(tensor.length) });
  }
  model.writeOptimizer({ step: header.optimizerStep, moments });
}

/** Own memory for each read: a slice of Node's pool would not be aligned for floats. */
function readBytes(file: number, at: number, length: number): Buffer {
  const bytes = Buffer.from(new ArrayBuffer(length));
  for (let done = 0; done < length; ) {
    const read = readSync(file, bytes, done, length - done, at + done);
    if (read === 0) throw new Error("a checkpoint ended although its hash was right");
    done += read;
  }
  return bytes;
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
