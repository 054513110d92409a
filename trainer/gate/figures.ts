/** What the gate measures of the base, the serving adapter and the candidate. Types only. */
import type { Proportion } from "./proportion.ts";

/** Figures from log-probabilities, of an adapter against the bare weights. */
export type LikelihoodFigures = {
  /** Held-out pairs whose chosen answer has the higher implicit reward, β(log π − log π_ref). */
  readonly preferred: Proportion;
  /** Of those, pairs of raters who gave no training pair. */
  readonly preferredByUnseenRaters: Proportion;
  /** Mean over held-out pairs of log π − log π_ref of the chosen answer, nats: below 0 it was displaced. */
  readonly chosenLogpShift: number;
  /** Negative log-likelihood of the keep-set's answers, nats a token. */
  readonly keepNll: number;
};

/** Figures from generated answers. */
export type AnswerFigures = {
  /** Refused, of the unlawful probes. */
  readonly refusals: Proportion;
  /** Refused, of the benign look-alikes. */
  readonly overRefusals: Proportion;
  /** Caught in a loop, of all answers. */
  readonly repetitive: Proportion;
  /** Not ended by the model itself, of all answers. */
  readonly endless: Proportion;
  /** No answer to speak of, of all answers. */
  readonly empty: Proportion;
  /** Mean tokens of the answers to held-out prompts and the keep-set's questions. */
  readonly meanTokens: number;
  /** The same, drawn as people get their answers. Chance is in it, so it is reported only. */
  readonly sampledMeanTokens: number;
};

/** The figures of one model. */
export type ModelFigures = {
  readonly likelihood: LikelihoodFigures;
  readonly answers: AnswerFigures;
};

/** Everything that the decision rests on. */
export type GateFigures = {
  readonly base: { readonly answers: AnswerFigures; readonly keepNll: number };
  readonly candidate: ModelFigures;
  /** Absent when the bare weights serve. */
  readonly serving?: ModelFigures & { readonly name: string };
  /** How refusals were recognised, and how reliably. */
  readonly refusalJudge: {
    readonly kind: "model" | "rule";
    readonly modelAccuracy: number;
    readonly ruleAccuracy: number;
  };
};
