/** Pairs as rows of the data sets that other trainers read. Pure. */
import type { ChatMessage } from "#engine/backends/backend.ts";
import type { PreferencePair, RatedCompletion } from "../data/preference.ts";
import { promptKey } from "../pairs/pair.ts";

/** TRL's conversational preference format with an explicit prompt (TRL, "Dataset formats"). */
export type TrlRow = {
  readonly prompt: readonly ChatMessage[];
  readonly chosen: readonly ChatMessage[];
  readonly rejected: readonly ChatMessage[];
};

/** TRL's conversational unpaired preference format, which its KTO trainer reads. */
export type TrlUnpairedRow = {
  readonly prompt: readonly ChatMessage[];
  readonly completion: readonly ChatMessage[];
  readonly label: boolean;
};

/** A row of HuggingFaceH4/ultrafeedback_binarized: whole conversations on both sides. */
export type UltraFeedbackRow = {
  readonly prompt: string;
  readonly prompt_id: string;
  readonly chosen: readonly ChatMessage[];
  readonly rejected: readonly ChatMessage[];
  readonly messages: readonly ChatMessage[];
  /** 1 and 0: which was better is known, by how much is not. */
  readonly score_chosen: number;
  readonly score_rejected: number;
};

/** A pair for TRL's DPO trainer. */
export function toTrlRow({ prompt, chosen, rejected }: PreferencePair): TrlRow {
  return {
    prompt: prompt.map(plain),
    chosen: [assistant(chosen)],
    rejected: [assistant(rejected)],
  };
}

/** A rated answer for TRL's KTO trainer. */
export function toTrlUnpairedRow(rated: RatedCompletion): TrlUnpairedRow {
  const { prompt, completion, isDesirable } = rated;
  return { prompt: prompt.map(plain), completion: [assistant(completion)], label: isDesirable };
}

/** A pair as UltraFeedback's binarised form has it; `prompt` is the last question alone. */
export function toUltraFeedbackRow({ prompt, chosen, rejected }: PreferencePair): UltraFeedbackRow {
  const conversation = prompt.map(plain);
  const whole = (answer: string) => [...conversation, assistant(answer)];
  return {
    prompt: prompt.findLast(({ role }) => role === "user")?.content ?? "",
    prompt_id: promptKey(prompt),
    chosen: whole(chosen),
    rejected: whole(rejected),
    messages: whole(chosen),
    score_chosen: 1,
    score_rejected: 0,
  };
}

/** Nothing but what the formats know: a message of ours may carry more. */
function plain({ role, content }: ChatMessage): ChatMessage {
  return { role, content };
}

function assistant(content: string): ChatMessage {
  return { role: "assistant", content };
}
