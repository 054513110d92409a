/** What people feed the trainer with, before tokens: dialogues and preference pairs. */
import type { ChatMessage } from "#engine/backends/backend.ts";

/** A conversation to imitate; the assistant's turns are learnt. */
export type Dialogue = { readonly id: string; readonly messages: readonly ChatMessage[] };

/** An answer that people liked or disliked, with nothing to compare it to. */
export type RatedCompletion = {
  readonly id: string;
  /** Ends with a user's turn. */
  readonly prompt: readonly ChatMessage[];
  readonly completion: string;
  readonly isDesirable: boolean;
  /** Share in the loss, above 0. */
  readonly weight: number;
};

/** Of two answers to one prompt, the better one. */
export type PreferencePair = {
  readonly id: string;
  /** Ends with a user's turn. */
  readonly prompt: readonly ChatMessage[];
  readonly chosen: string;
  readonly rejected: string;
  /** Share in the loss, above 0. */
  readonly weight: number;
  /** Pseudonyms of the people whose words it holds: it is sealed with their keys wherever it lies. */
  readonly personKeys?: readonly string[];
};
