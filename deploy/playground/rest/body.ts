/** Request bodies: JSON, or multipart with `payload_json` and files. Checks form, not meaning. */
import type { Context } from "hono";
import { DiscordError } from "../world/discord-error.ts";
import { UPLOAD_LIMIT_BYTES, type Upload } from "../world/posting.ts";

/** The largest body that is read, in bytes: ten files at most, and the JSON. */
export const BODY_LIMIT_BYTES = 10 * UPLOAD_LIMIT_BYTES + 1024 * 1024;

/** A body's JSON, and the files beside it. */
export type Body = { readonly json: unknown; readonly uploads: readonly Upload[] };

/** Reads a body; none counts as `{}`. @throws DiscordError 50109, or 40005 when it is too large */
export async function readBody(context: Context): Promise<Body> {
  const type = context.req.header("content-type") ?? "";
  if (type.startsWith("multipart/form-data")) return readMultipart(context);
  const text = await context.req.text();
  return { json: text === "" ? {} : parseJson(text), uploads: [] };
}

async function readMultipart(context: Context): Promise<Body> {
  const form = await context.req.formData().catch((error: unknown) => {
    throw new DiscordError("invalidJson", { cause: error });
  });
  const payload = form.get("payload_json");
  const uploads: Upload[] = [];
  for (const [name, part] of form) {
    const index = /^files\[(\d{1,2})\]$/.exec(name)?.[1];
    if (index === undefined || typeof part === "string") continue;
    if (part.size > UPLOAD_LIMIT_BYTES) throw new DiscordError("tooLarge");
    const bytes = new Uint8Array(await part.arrayBuffer());
    uploads.push({
      index,
      name: part.name,
      contentType: part.type || "application/octet-stream",
      bytes,
    });
  }
  return {
    json: typeof payload === "string" ? parseJson(payload) : Object.fromEntries(textParts(form)),
    uploads,
  };
}

function textParts(form: FormData): [string, string][] {
  return [...form].flatMap(([name, part]) => (typeof part === "string" ? [[name, part]] : []));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DiscordError("invalidJson", { cause: error });
  }
}
