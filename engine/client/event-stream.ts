/**
 * Reads a streamed answer of the engine: bytes in, checked events out.
 * It knows the wire's events, not what a caller makes of them.
 */
import { createParser } from "eventsource-parser";
import { chunkSchema, parseWireError, type WireChunk } from "./wire.ts";

/** A chunk of an answer, or the request's place in the queue. */
export type WireEvent =
  | { readonly type: "queued"; readonly position: number; readonly waitMs: number }
  | { readonly type: "chunk"; readonly chunk: WireChunk };

/**
 * The events of a stream, in order.
 * @throws CodedError the error event that the engine sent; else what reading the body throws
 */
export async function* readEventStream(body: AsyncIterable<Uint8Array>): AsyncGenerator<WireEvent> {
  const ready: (WireEvent | Error)[] = [];
  const parser = createParser({
    onComment: (comment) => {
      const place = /queued position=(\d+)(?: wait_ms=(\d+))?/.exec(comment);
      if (place === null) return;
      const [, position, waitMs = 0] = place;
      ready.push({ type: "queued", position: Number(position), waitMs: Number(waitMs) });
    },
    onEvent: ({ data }) => {
      const event = data === "[DONE]" ? undefined : toEvent(data);
      if (event !== undefined) ready.push(event);
    },
  });
  const decoder = new TextDecoder();
  for await (const bytes of body) {
    parser.feed(decoder.decode(bytes, { stream: true }));
    for (const event of ready.splice(0)) {
      if (event instanceof Error) throw event;
      yield event;
    }
  }
}

/** What is neither a chunk nor an error is from a newer engine, and left out. */
function toEvent(data: string): WireEvent | Error | undefined {
  const body = parseJson(data);
  const error = parseWireError(body);
  if (error !== undefined) return error;
  const chunk = chunkSchema.safeParse(body);
  return chunk.success ? { type: "chunk", chunk: chunk.data } : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
