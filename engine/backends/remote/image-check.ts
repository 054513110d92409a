/**
 * A server that checks pictures by OpenAI's `POST /v1/moderations` with `image_url` parts, as omni-moderation does
 * (https://platform.openai.com/docs/api-reference/moderations/create). It sends a picture and nothing of who sent it.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { CodedError } from "../../base/errors.ts";
import { assessResult } from "../../moderation/moderation-result.ts";
import type { Assessment, ImageModerator } from "../../moderation/moderator.ts";
import { VerdictCache } from "../../moderation/verdict-cache.ts";
import { type LinkOptions, ServerLink } from "./server-link.ts";

const answerSchema = z.object({
  results: z.array(
    z.object({
      flagged: z.boolean(),
      categories: z.record(z.string(), z.boolean().nullable()),
      category_scores: z.record(z.string(), z.number()),
    }),
  ),
});

/** A conversation sends its pictures again with each question. */
const KEPT_VERDICTS = 1_024;
/** A hung server must not hold a question for longer. */
const PATIENCE_MS = 30_000;

/** See the file's head. */
export class RemoteImageCheck implements ImageModerator {
  readonly name: string;
  readonly #link: ServerLink;
  readonly #model: string;
  readonly #verdicts = new VerdictCache<readonly Assessment[]>(KEPT_VERDICTS);

  constructor({ model, ...link }: LinkOptions & { readonly model: string }) {
    this.#link = new ServerLink(link);
    this.#model = model;
    this.name = `pictures by ${model} at ${this.#link.url}`;
  }

  check(url: string, signal: AbortSignal): Promise<readonly Assessment[]> {
    const key = createHash("sha256").update(url).digest("base64");
    return this.#verdicts.get(key, () => this.#ask(url, signal));
  }

  /** @throws CodedError `guard_failed` for an answer that is none; what the link throws */
  async #ask(url: string, signal: AbortSignal): Promise<readonly Assessment[]> {
    const answer = await this.#link.json({
      method: "POST",
      path: "/v1/moderations",
      body: { model: this.#model, input: [{ type: "image_url", image_url: { url } }] },
      signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]),
    });
    const [result] = answerSchema.safeParse(answer).data?.results ?? [];
    if (result === undefined) {
      throw new CodedError(
        `The server at ${this.#link.url} should have answered with results of /v1/moderations. Check IMAGE_CHECK_URL and IMAGE_CHECK_MODEL.`,
        { code: "guard_failed" },
      );
    }
    const categories = Object.fromEntries(
      Object.entries(result.categories).map(([name, is]) => [name, is === true]),
    );
    return assessResult({ ...result, categories });
  }
}
