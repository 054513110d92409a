/**
 * The one training loop: takes a loss and examples, and runs them through a model with warm-up, decay,
 * clipping, accumulation, evaluation, checkpoints and exact resume. It knows nothing of what the loss means.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { type Clock, systemClock } from "#engine/base/clock.ts";
import { CodedError } from "#engine/base/errors.ts";
import { type DataPosition, EpochBatches, type MicroBatches, splitStep } from "../data/batches.ts";
import { type ExampleSource, sourceOf } from "../data/example-source.ts";
import type { Example } from "../data/sequence.ts";
import { writeTrainingPlot } from "../plot/training-plot.ts";
import { hasCheckpoint, restoreCheckpoint, restoreStep, writeCheckpoint } from "./checkpoint.ts";
import { type EarlyStopVerdict, judgeEvaluations } from "./early-stop.ts";
import { type MetricsLine, MetricsLog, sampleMetrics } from "./metrics.ts";
import type {
  PartLoss,
  PartWeigher,
  ScoringModel,
  TrainingRun,
  TrainOutcome,
  Watch,
} from "./run.ts";
import { learningRateAt } from "./schedule.ts";
import { unlessAborted } from "./unless-aborted.ts";

/**
 * Trains to the end of the schedule, from the newest checkpoint in `runDir` if there is one. Interrupted and
 * resumed, it ends with the same parameters, bit for bit, as a run that was left alone (unless a time
 * limit shaped its schedule).
 * @throws CodedError `training_diverged` naming the examples of the step, `checkpoint_corrupt`,
 *   `checkpoint_mismatch`, `disk_full`
 */
export async function train(run: TrainingRun): Promise<TrainOutcome> {
  const loop = new TrainingLoop(run);
  return loop.run();
}

const METRICS_FILE = "metrics.jsonl";
const PLOT_FILE = "metrics.svg";
const PLOTTED_LINES = 2_000;
/** From here on each step is saved: to write it takes little beside, and a kill without warning loses little. */
const SLOW_STEP_MS = 5_000;

/** The state of one call of `train`. */
class TrainingLoop {
  readonly #run: TrainingRun;
  readonly #source: ExampleSource;
  readonly #clock: Clock;
  readonly #fingerprint: string;
  readonly #batches: EpochBatches;
  readonly #metrics: MetricsLog;
  readonly #totalSteps: number;
  readonly #resumedFrom: number;
  readonly #damaged: readonly string[];
  readonly #startMs: number;
  readonly #elapsedBeforeMs: number;
  #step: number;
  #tokens: number;
  #realColumnsHere = 0;
  #columnsHere = 0;
  #last: MetricsLine | undefined;

  constructor(run: TrainingRun) {
    const { options, runDir, model } = run;
    this.#run = run;
    this.#source = sourceOf(run.examples);
    this.#clock = run.clock ?? systemClock;
    this.#fingerprint = fingerprint(run, this.#source);
    const { state, damaged } = restoreCheckpoint(this.#folder, this.#fingerprint, model);
    this.#step = state?.step ?? 0;
    this.#tokens = state?.tokens ?? 0;
    this.#elapsedBeforeMs = state?.elapsedMs ?? 0;
    this.#resumedFrom = this.#step;
    this.#damaged = damaged;
    this.#batches = new EpochBatches(
      this.#source,
      options.batchSize,
      state?.position ?? options.seed,
    );
    this.#totalSteps = Math.max(1, Math.round(options.epochs * this.#batches.batchesPerEpoch));
    this.#metrics = new MetricsLog(join(runDir, METRICS_FILE), this.#step);
    this.#startMs = this.#clock.monotonicMs();
  }

  async run(): Promise<TrainOutcome> {
    const { options, onStep } = this.#run;
    while (this.#step < this.#totalSteps && !this.#outOfTime) {
      const before = this.#batches.position;
      // Evaluating before the next step, not after the last, makes up for it where an abort came between.
      const evaluated = !isDue(this.#step, options.evalEverySteps) || (await this.#evaluate());
      if (!evaluated) return this.#abort(before);
      if (this.#verdict?.isOver === true) break;
      const startMs = this.#clock.monotonicMs();
      if (!(await this.#trainStep())) return this.#abort(before);
      const isSlow = this.#clock.monotonicMs() - startMs > SLOW_STEP_MS;
      if (isSlow || isDue(this.#step, options.checkpointEverySteps)) this.#save();
      if (this.#last !== undefined) await onStep?.(this.#last);
    }
    if (!(await this.#evaluate())) return this.#abort(this.#batches.position);
    return this.#end();
  }

  #end(): TrainOutcome {
    const { best, isOver } = this.#verdict ?? {};
    if (this.#step > this.#resumedFrom && !hasCheckpoint(this.#folder, this.#step)) this.#save();
    if (best !== undefined && best.step !== this.#step) {
      restoreStep(this.#folder, best.step, this.#fingerprint, this.#run.model);
    }
    if (this.#step === this.#totalSteps) return this.#outcome("finished");
    return this.#outcome(isOver === true ? "early_stop" : "time_limit");
  }

  /** One optimiser step; false when the signal came before it was done, which leaves no trace. */
  async #trainStep(): Promise<boolean> {
    const { model, options } = this.#run;
    const startMs = this.#clock.monotonicMs();
    const rate = this.#learningRate();
    const examples = this.#pick(this.#batches.next());
    const split = splitStep(examples, options.maxTokensPerBatch);
    const sums = await this.#untilAborted(() => this.#accumulateAll(examples, split));
    if (sums === undefined) {
      model.zeroGradients();
      return false;
    }
    const norm = model.gradientNorm();
    if (!Number.isFinite(norm)) throw this.#diverged("gradient", examples);
    model.step({
      ...options,
      learningRate: rate,
      gradientScale: clip(norm, options.maxGradientNorm),
    });
    this.#count(split);
    const seconds = (this.#clock.monotonicMs() - startMs) / 1000;
    this.#report(sums, norm, rate, seconds > 0 ? split.tokens / seconds : 0);
    return true;
  }

  /** Adds up the gradients and figures of all parts. */
  async #accumulateAll(
    examples: readonly Example[],
    split: MicroBatches,
  ): Promise<Record<string, number>> {
    const weigh = await this.#run.loss(examples, this.#scorer);
    const sums: Record<string, number> = {};
    for (const part of split.parts) {
      this.#run.signal?.throwIfAborted();
      addTo(sums, await this.#accumulate(part, weigh));
      await setImmediate();
    }
    return sums;
  }

  async #accumulate(part: readonly Example[], weigh: PartWeigher): Promise<PartLoss["metrics"]> {
    const { model, signal } = this.#run;
    let result: PartLoss | undefined;
    const sequences = part.flatMap((example) => example.sequences);
    const weighPart = (logps: Float32Array[]): readonly Float32Array[] => {
      result = weigh(part, logps);
      // A bad loss is reported after the pass, which wants numbers.
      return Number.isFinite(result.metrics.loss) ? result.gradients : logps.map(zeros);
    };
    await model.forwardBackward(sequences, weighPart, signal);
    if (result === undefined) throw new Error("forwardBackward did not ask for the loss");
    if (!Number.isFinite(result.metrics.loss)) throw this.#diverged("loss", part);
    return result.metrics;
  }

  /** False when the signal came before it was done. */
  async #evaluate(): Promise<boolean> {
    const { evalExamples, loss, watch } = this.#run;
    const isNothing = evalExamples.length === 0 && watch === undefined;
    if (isNothing || this.#metrics.evaluations.at(-1)?.step === this.#step) return true;
    const sums = await this.#untilAborted(async () => {
      const figures: Record<string, number> = {};
      if (evalExamples.length > 0) {
        const weigh = await loss(evalExamples, this.#scorer);
        const measure: Watch["measure"] = (part, logps) => weigh(part, logps).metrics;
        await this.#measure({ examples: evalExamples, measure }, figures);
      }
      if (watch !== undefined) await this.#measure(watch, figures);
      return figures;
    });
    if (sums === undefined) return false;
    const named = Object.entries(sums).map(([name, value]) => [`eval_${name}`, value]);
    this.#noteEvaluation({ step: this.#step, epoch: this.#epoch, ...Object.fromEntries(named) });
    return true;
  }

  /** The parameters of a new best are saved before it is written down, so that they are there when it is read. */
  #noteEvaluation(line: MetricsLine): void {
    const verdict = this.#judge([...this.#metrics.evaluations, line]);
    if (verdict?.best?.step === this.#step && !hasCheckpoint(this.#folder, this.#step)) {
      this.#save(this.#batches.position, verdict);
    }
    this.#metrics.append(line);
    this.#last = { ...this.#last, ...line };
    this.#plot();
  }

  get #verdict(): EarlyStopVerdict | undefined {
    return this.#judge(this.#metrics.evaluations);
  }

  #judge(evaluations: readonly MetricsLine[]): EarlyStopVerdict | undefined {
    const { earlyStop } = this.#run.options;
    if (earlyStop === undefined) return undefined;
    const values = evaluations.map((line) => {
      return { step: line.step, value: line[earlyStop.figure] ?? Number.NaN };
    });
    return judgeEvaluations(earlyStop, values);
  }

  /** Adds up the figures of all parts. @throws the signal's reason */
  async #measure({ examples, measure }: Watch, sums: Record<string, number>): Promise<void> {
    const { options, onProgress, signal } = this.#run;
    let done = 0;
    for (const part of splitStep(examples, options.maxTokensPerBatch).parts) {
      signal?.throwIfAborted();
      const sequences = part.flatMap((example) => example.sequences);
      const figures = measure(part, await this.#scorer.logps(sequences));
      const isSound = Object.values(figures).every(Number.isFinite);
      if (!isSound) throw this.#diverged("evaluation", part);
      addTo(sums, figures);
      done += part.length;
      onProgress?.({ phase: "evaluate", done, total: examples.length });
      await setImmediate();
    }
  }

  #report(sums: Record<string, number>, norm: number, rate: number, tokensPerSecond: number): void {
    this.#last = {
      step: this.#step,
      epoch: this.#epoch,
      ...sums,
      grad_norm: norm,
      learning_rate: rate,
      num_tokens: this.#tokens,
      tokens_per_second: tokensPerSecond,
    };
    this.#metrics.append(this.#last);
    const loss = sums["loss"] ?? Number.NaN;
    const remaining = this.#remainingMs();
    this.#run.onProgress?.({
      phase: "train",
      done: this.#step,
      total: this.#totalSteps,
      loss,
      tokensPerSecond,
      ...(remaining === undefined ? {} : { remainingMs: remaining }),
    });
  }

  #count(split: Omit<MicroBatches, "parts">): void {
    this.#step += 1;
    this.#tokens += split.tokens;
    this.#realColumnsHere += split.realColumns;
    this.#columnsHere += split.computedColumns;
  }

  #learningRate(): number {
    return learningRateAt(this.#run.options, this.#progress, 1 / this.#totalSteps);
  }

  /** Share of the run that is done, by steps or by time, whichever is further. */
  get #progress(): number {
    const bySteps = this.#step / this.#totalSteps;
    const limit = this.#run.options.timeLimitMs;
    return limit === undefined ? bySteps : Math.max(bySteps, this.#elapsedMs / limit);
  }

  /** From the pace of this call. */
  #remainingMs(): number | undefined {
    const stepsHere = this.#step - this.#resumedFrom;
    if (stepsHere === 0) return undefined;
    const pace = (this.#clock.monotonicMs() - this.#startMs) / stepsHere;
    const bySteps = pace * (this.#totalSteps - this.#step);
    const limit = this.#run.options.timeLimitMs ?? Number.POSITIVE_INFINITY;
    return Math.max(0, Math.min(bySteps, limit - this.#elapsedMs));
  }

  #save(position: DataPosition = this.#batches.position, verdict = this.#verdict): void {
    const state = {
      fingerprint: this.#fingerprint,
      step: this.#step,
      position,
      elapsedMs: this.#elapsedMs,
      tokens: this.#tokens,
    };
    const kept = [verdict?.best, verdict?.before].flatMap((one) => one?.step ?? []);
    writeCheckpoint(this.#folder, state, this.#run.model, kept);
  }

  #plot(): void {
    const { runDir } = this.#run;
    const lines = sampleMetrics(join(runDir, METRICS_FILE), PLOTTED_LINES);
    writeTrainingPlot(join(runDir, PLOT_FILE), lines);
  }

  #abort(position: DataPosition): TrainOutcome {
    this.#save(position);
    return this.#outcome("aborted");
  }

  #outcome(status: TrainOutcome["status"]): TrainOutcome {
    if (this.#last !== undefined) this.#plot();
    return {
      status,
      step: this.#step,
      totalSteps: this.#totalSteps,
      tokens: this.#tokens,
      elapsedMs: this.#elapsedMs,
      metrics: this.#last,
      best: this.#verdict?.best,
      paddingFraction: this.#columnsHere === 0 ? 0 : 1 - this.#realColumnsHere / this.#columnsHere,
      resumedFrom: this.#resumedFrom,
      damagedCheckpoints: this.#damaged,
    };
  }

  #diverged(what: string, examples: readonly Example[]): CodedError {
    const ids = examples.map(({ id }) => id).join(", ");
    return new CodedError(
      `The ${what} became NaN or infinite at step ${this.#step + 1}, on ${ids || "the evaluation's examples"}. Lower the learning rate, or remove these examples; checkpoints before this step are kept.`,
      { code: "training_diverged" },
    );
  }

  #pick(places: readonly number[]): Example[] {
    return places.map((place) => this.#source.read(place));
  }

  /** The model as it stands, to be asked until the signal comes. */
  get #scorer(): ScoringModel {
    const { model, signal } = this.#run;
    return { logps: (batch, options) => model.logps(batch, { ...options, signal }) };
  }

  #untilAborted<T>(work: () => Promise<T>): Promise<T | undefined> {
    return unlessAborted(this.#run.signal, work);
  }

  get #outOfTime(): boolean {
    return this.#elapsedMs >= (this.#run.options.timeLimitMs ?? Number.POSITIVE_INFINITY);
  }

  get #elapsedMs(): number {
    return this.#elapsedBeforeMs + this.#clock.monotonicMs() - this.#startMs;
  }

  get #epoch(): number {
    return this.#step / this.#batches.batchesPerEpoch;
  }

  get #folder(): string {
    return join(this.#run.runDir, "checkpoints");
  }
}

/** Everything that the parameters after a given step depend on, and only that. */
function fingerprint({ options, lossKey, model }: TrainingRun, source: ExampleSource): string {
  const {
    evalEverySteps: _e,
    checkpointEverySteps: _c,
    timeLimitMs: _t,
    earlyStop: _s,
    ...shaping
  } = options;
  const parts = [lossKey, shaping, model.parameters(), source.sha256];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

function isDue(step: number, every: number): boolean {
  return every > 0 && step > 0 && step % every === 0;
}

/** torch.nn.utils.clip_grad_norm_'s factor. */
function clip(norm: number, limit: number): number {
  return Math.min(1, limit / (norm + 1e-6));
}

function addTo(sums: Record<string, number>, metrics: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(metrics)) sums[name] = (sums[name] ?? 0) + value;
}

function zeros(logps: Float32Array): Float32Array {
  return new Float32Array(logps.length);
}
