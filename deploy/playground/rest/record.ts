/**
 * Writes down each request that the bot sends to the local Discord, for a checker that holds them
 * against Discord's published specification. It judges nothing itself.
 */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import type { MiddlewareHandler } from "hono";
import { makeFolder } from "#engine/base/atomic-file.ts";

/** One request as it came in. */
export type RecordedRequest = {
  readonly method: string;
  /** Below /api and the version, percent-encoded as it came. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** The media type without parameters; "" without a body. */
  readonly contentType: string;
  /** JSON, or a multipart body's `payload_json`; undefined without either. */
  readonly body?: unknown;
  /** Form parts that are files. */
  readonly files: readonly { readonly field: string; readonly bytes: number }[];
  readonly auditLogReason?: string;
};

/** Appends a line of JSON for each request to a file of this process in `folder`. @throws CodedError `not_writable`, `disk_full` */
export function recordRequests(folder: string): MiddlewareHandler {
  makeFolder(folder);
  const file = join(folder, `${process.pid}.jsonl`);
  return async (context, next) => {
    const line = JSON.stringify(await readRequest(context.req.raw));
    appendFileSync(file, `${line}\n`, { mode: 0o600 });
    await next();
  };
}

async function readRequest(request: Request): Promise<RecordedRequest> {
  const url = new URL(request.url);
  const reason = request.headers.get("x-audit-log-reason");
  return {
    method: request.method,
    path: url.pathname.replace(/^\/api(\/v\d+)?/, ""),
    query: Object.fromEntries(url.searchParams),
    ...(await readBody(request)),
    ...(reason === null ? {} : { auditLogReason: decodeURIComponent(reason) }),
  };
}

async function readBody(
  request: Request,
): Promise<Pick<RecordedRequest, "contentType" | "body" | "files">> {
  const contentType = (request.headers.get("content-type") ?? "").split(";")[0] ?? "";
  if (contentType === "multipart/form-data") {
    const parts = [...(await request.clone().formData())];
    const payload = parts.find(([name]) => name === "payload_json")?.[1];
    return {
      contentType,
      files: parts.flatMap(([field, part]) =>
        typeof part === "string" ? [] : [{ field, bytes: part.size }],
      ),
      ...(typeof payload === "string" ? { body: parse(payload) } : {}),
    };
  }
  const text = await request.clone().text();
  return { contentType, files: [], ...(text === "" ? {} : { body: parse(text) }) };
}

/** What is no JSON stays text, which no schema of a body allows. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
