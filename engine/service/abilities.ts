/** What the served model takes besides text: told to clients beforehand, and to those who send it anyway. */
import type { ModelInfo } from "../backends/backend.ts";
import { countImages, type PromptMessage, type Tools, tellsOfCalls } from "../backends/prompt.ts";
import { invalidField } from "./http-problem.ts";

/** As a model's entry in `/v1/models` and `/health` tells it. */
export function describeAbilities({ images, tools }: ModelInfo): {
  readonly input_modalities: readonly string[];
  readonly tools: boolean;
} {
  return { input_modalities: images.can ? ["text", "image"] : ["text"], tools: tools.can };
}

/** @throws HttpProblem 400 that says what the model does not take, and what to do */
export function assertTaken(
  request: { readonly messages: readonly PromptMessage[]; readonly tools: Tools | undefined },
  { images, tools }: Pick<ModelInfo, "images" | "tools">,
): void {
  const { messages } = request;
  // Offered, but not to be called: then nothing is lost without them.
  const isOffered = request.tools !== undefined && request.tools.choice !== "none";
  if (!tools.can && (isOffered || tellsOfCalls(messages))) {
    const otherwise = isOffered
      ? '. With tool_choice "required", or a function by name, one is called all the same'
      : "";
    throw invalidField(isOffered ? "tools" : "messages", tools.why + otherwise);
  }
  if (!images.can && messages.some((message) => countImages(message) > 0)) {
    throw invalidField("messages", `pictures cannot be sent: ${images.why}`);
  }
}
