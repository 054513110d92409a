/**
 * The engine behind a server's own rules: what they forbid never leaves it. It knows the engine's
 * chunks, and nothing of Discord.
 */
import type { ChatChunk, ChatRequest, EngineClient } from "#engine/client/engine-client.ts";
import type { CompiledRule } from "./keyword-rules.ts";
import type { OutputScreen } from "./output-screen.ts";
import { SERVER_RULE } from "./withheld.ts";

type Chat = Pick<EngineClient, "chat">;
type Metadata = NonNullable<ChatRequest["metadata"]>;

/** Where screens come from, and who is told of what they stop. */
export type Screens = {
  /** The screen of a place; undefined where there is none. */
  readonly of: (metadata: Metadata) => Promise<OutputScreen | undefined>;
  readonly onBroken: (metadata: Metadata, rule: CompiledRule, text: string) => void;
};

/** The same engine, screened. */
export function screenedEngine(engine: Chat, screens: Screens): Chat {
  return { chat: (request) => screened(engine, request, screens) };
}

async function* screened(
  engine: Chat,
  request: ChatRequest,
  screens: Screens,
): AsyncGenerator<ChatChunk> {
  const metadata = request.metadata ?? {};
  const screen = await screens.of(metadata);
  if (screen === undefined) {
    yield* engine.chat(request);
    return;
  }
  let [raw, sent] = ["", 0];
  for await (const chunk of engine.chat(request)) {
    if (chunk.type === "queued") {
      yield chunk;
      continue;
    }
    if (chunk.type === "text") raw += chunk.text;
    const result = screen.apply(raw, chunk.type === "end");
    if (result.kind === "broken") {
      screens.onBroken(metadata, result.rule, raw);
      // Leaving the loop ends the request on both sides.
      yield brokenEnd();
      return;
    }
    const text = result.text.slice(sent);
    sent = result.text.length;
    if (text !== "") yield { type: "text", text };
    if (chunk.type === "end") yield chunk;
  }
}

function brokenEnd(): ChatChunk {
  return {
    type: "end",
    reason: "content_filter",
    adapter: null,
    usage: { promptTokens: 0, completionTokens: 0 },
    verdict: { stage: "output", category: SERVER_RULE, reason: "" },
  };
}
