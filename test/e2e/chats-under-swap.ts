/** Chats that go on while an adapter is swapped. It knows nothing of why the swap happens. */
import type { ChatRequest, EngineClient } from "#engine/client/engine-client.ts";

/** A finished chat and what it was asked. */
export type FinishedChat = {
  readonly request: ChatRequest;
  readonly text: string;
  readonly adapter: string | null;
};

/** Asked in turn; long answers, so that the swap comes while they are being written. */
const QUESTIONS = [
  "Tell me a lot about volcanoes.",
  "Tell me a lot about the heart.",
  "Explain bones in detail.",
  "Give me a long answer about bread.",
];

/**
 * Keeps `count` chats going, swaps once each has begun, and goes on until each has finished a chat
 * that began after the swap. Greedy sampling, so that each can be asked again and compared.
 */
export async function chatThrough(
  engine: EngineClient,
  count: number,
  swap: () => Promise<void>,
): Promise<FinishedChat[]> {
  const finished: FinishedChat[] = [];
  const begun = Promise.withResolvers<void>();
  let beginning = count;
  let isSwapped = false;
  const onFirstText = (): void => {
    beginning -= 1;
    if (beginning === 0) begun.resolve();
  };
  const lane = async (index: number): Promise<void> => {
    for (let turn = 0, wasSwapped = false; !wasSwapped; turn++) {
      wasSwapped = isSwapped;
      const content = QUESTIONS[(index + turn) % QUESTIONS.length] ?? "";
      const request = {
        messages: [{ role: "user", content }],
        temperature: 0,
        maxTokens: 200,
      } as const;
      finished.push(await chatOnce(engine, request, turn === 0 ? onFirstText : () => undefined));
    }
  };
  const lanes = Promise.all(Array.from({ length: count }, (_, index) => lane(index)));
  await Promise.race([begun.promise, lanes]);
  await swap();
  isSwapped = true;
  await lanes;
  return finished;
}

async function chatOnce(
  engine: EngineClient,
  request: ChatRequest,
  onFirstText: () => void,
): Promise<FinishedChat> {
  let text = "";
  for await (const chunk of engine.chat(request)) {
    if (chunk.type === "text") {
      if (text === "") onFirstText();
      text += chunk.text;
    }
    if (chunk.type === "end") return { request, text, adapter: chunk.adapter };
  }
  throw new Error("a chat ended without its last chunk");
}
