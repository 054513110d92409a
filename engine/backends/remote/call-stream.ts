/** The calls of functions in a streamed answer, as servers spell them, in the backends' own form. */
import { z } from "zod";
import type { ToolCallDelta } from "../prompt.ts";

/** `tool_calls` of a chunk: OpenAI's, where some leave out what they find needless. */
export const callDelta = z.object({
  index: z.int().min(0).nullish(),
  id: z.string().nullish(),
  function: z
    .object({
      name: z.string().nullish(),
      // Written out by OpenAI; some servers give the object itself.
      arguments: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
    })
    .nullish(),
});

/** No answer calls more often; what goes on and on is cut. */
const MOST_CALLS = 64;

/** Reads one answer's calls. */
export class CallReader {
  readonly #newCallId: () => string;
  /** The servers' indices, or ids where they have none, in the order of their coming. */
  readonly #known: (string | number)[] = [];

  /** @param newCallId names a call that the server leaves without an id */
  constructor(newCallId: () => string) {
    this.#newCallId = newCallId;
  }

  /** How many calls there were so far. */
  get count(): number {
    return this.#known.length;
  }

  /** The pieces of a chunk. @throws Error when there are too many calls */
  read(deltas: readonly z.infer<typeof callDelta>[]): readonly ToolCallDelta[] {
    return deltas.map((delta) => this.#read(delta));
  }

  #read({ index, id, function: called }: z.infer<typeof callDelta>): ToolCallDelta {
    const given = called?.arguments ?? "";
    const piece = typeof given === "string" ? given : JSON.stringify(given);
    const key = index ?? (id || undefined) ?? this.#known.at(-1) ?? 0;
    const known = this.#known.indexOf(key);
    if (known !== -1) return { call: known, arguments: piece };
    if (this.#known.length === MOST_CALLS) throw new Error(`it made more than ${MOST_CALLS} calls`);
    this.#known.push(key);
    const call = this.#known.length - 1;
    return { call, id: id || this.#newCallId(), name: called?.name ?? "", arguments: piece };
  }
}
