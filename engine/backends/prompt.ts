/**
 * What a request may hold besides plain text: pictures, functions that the model may call, and what came of calls.
 * Which of it a backend takes, its `ModelInfo` says. Types, and questions about them.
 */

/** A function that a request offers to the model. */
type ToolFunction = {
  readonly name: string;
  readonly description?: string;
  /** JSON schema of the arguments. */
  readonly parameters?: unknown;
  readonly strict?: boolean;
};

/** The functions that the model may call, and whether it must. */
export type Tools = {
  readonly functions: readonly ToolFunction[];
  /** `required`: at least one; a name: that one. */
  readonly choice: "auto" | "none" | "required" | { readonly name: string };
  /** Whether it may call several at once; the server's own default where undefined. */
  readonly isParallel?: boolean;
};

/** A call that the model made. */
export type ToolCall = {
  readonly id: string;
  readonly name: string;
  /** JSON as the model wrote it, which may be broken. */
  readonly arguments: string;
};

/** A piece of a call as it is written; the first of a call has id and name. */
export type ToolCallDelta = Partial<ToolCall> & {
  /** Which call of the answer, from 0. */
  readonly call: number;
  readonly arguments: string;
};

/** A piece of what a person sends. */
export type ContentPart =
  | { readonly type: "text"; readonly text: string }
  /** An address of scheme `data:` with an image in base64, or `https:` where that is allowed. */
  | { readonly type: "image"; readonly url: string; readonly detail?: "auto" | "low" | "high" };

/** What stands before and after a turn; the text of control tokens stands for those tokens. */
export type TurnMarkers = { readonly before: string; readonly after: string };

/** One turn of a prompt. `content` is all of its text, also where there are parts. */
export type PromptMessage =
  | { readonly role: "system"; readonly content: string }
  | {
      readonly role: "user";
      readonly content: string;
      /** The text with pictures between it, in their order; left out where there are none. */
      readonly parts?: readonly ContentPart[];
    }
  | {
      readonly role: "assistant";
      readonly content: string;
      readonly toolCalls?: readonly ToolCall[];
    }
  | { readonly role: "tool"; readonly content: string; readonly toolCallId: string };

/** Whether a model takes something besides text; if not, why, in a sentence for people. */
export type Ability = { readonly can: true } | { readonly can: false; readonly why: string };

/** How many pictures a turn holds. */
export function countImages(message: PromptMessage): number {
  if (message.role !== "user") return 0;
  return (message.parts ?? []).filter(({ type }) => type === "image").length;
}

/** Whether a prompt tells of calls or of what came of them, so that only a model with tools can read it. */
export function tellsOfCalls(messages: readonly PromptMessage[]): boolean {
  return messages.some(
    (message) =>
      message.role === "tool" || (message.role === "assistant" && message.toolCalls !== undefined),
  );
}
