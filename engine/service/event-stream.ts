/**
 * Turns an answer's server-sent events into the bytes of a response: an error becomes the last event, a
 * reader who leaves ends the work, and a quiet stream is kept alive. It does not know what the events say.
 */

/** Proxies and clients give up on a connection that is silent for a minute or so. */
const KEEP_ALIVE_MS = 15_000;
const KEEP_ALIVE = new TextEncoder().encode(": keep-alive\n\n");

/**
 * A byte stream of events.
 * @param options.onError gives the event that tells of an error; undefined when no one is there to read it
 * @param options.onLeave called when the reader goes away before the end
 */
export function toByteStream(
  events: AsyncGenerator<string>,
  options: {
    readonly onError: (error: unknown) => string | undefined;
    readonly onLeave: () => Promise<void>;
  },
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let keepAlive: NodeJS.Timeout | undefined;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      keepAlive = setInterval(() => {
        // A reader who does not keep up has plenty to read already.
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(KEEP_ALIVE);
      }, KEEP_ALIVE_MS).unref();
    },
    async pull(controller) {
      const close = () => {
        clearInterval(keepAlive);
        controller.close();
      };
      try {
        const next = await events.next();
        if (next.done === true) close();
        else controller.enqueue(encoder.encode(next.value));
      } catch (error) {
        const event = options.onError(error);
        if (event === undefined) return;
        controller.enqueue(encoder.encode(event));
        close();
      }
    },
    async cancel() {
      clearInterval(keepAlive);
      await options.onLeave();
    },
  });
}
