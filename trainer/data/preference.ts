/** What people feed the trainer with, before tokens: dialogues and preference pairs. */
import type { ChatMessage } from "#engine/backends/backend.ts";

/** A conversation to imitate; the assistant's turns are learnt. */
export type Dialogue = { readonly id: string; readonly messages: readonly ChatMessage[] };

/** Of two answers to one prompt, the better one. */
export type PreferencePair = {
  readonly id: string;
  /** Ends with a user's turn. */
  readonly prompt: readonly ChatMessage[];
  readonly chosen: string;
  readonly rejected: string;
  /** Share in the loss, above 0. */
  readonly weight: number;
};
