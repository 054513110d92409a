/** Serves the privacy statement over HTTP, and nothing else. It knows nothing of what it says. */
import type { ServerResponse } from "node:http";
import type { Logger } from "#engine/base/log.ts";
import { type Served, serve } from "../web/serve.ts";

const HEADERS = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy":
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  Vary: "Accept-Language",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
} as const;

/** In which language somebody wants to read. */
export type PageRequest = {
  readonly language: string | undefined;
  readonly acceptLanguage: string | undefined;
};

/**
 * Serves the page at / and /privacy.
 * @param at port 0: any free one
 * @param html the page now, for a language of the address (`?lang=de`) or the browser's own
 * @throws CodedError `address_in_use`
 */
export async function servePrivacyPage(
  at: { readonly host: string; readonly port: number },
  html: (asked: PageRequest) => string,
  log: Logger,
): Promise<Served> {
  const as = {
    what: "The privacy page",
    remedy: "Set PRIVACY_PORT to a free one (0 picks one).",
    log,
  };
  const served = await serve(at, as, (request, response, { pathname, searchParams }) => {
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (!isRead) answer(response, 405, "Only GET is served here.");
    else if (pathname !== "/" && pathname !== "/privacy") answer(response, 404, "Not found.");
    else {
      const language = searchParams.get("lang") ?? undefined;
      const page = html({ language, acceptLanguage: request.headers["accept-language"] });
      answer(response, 200, request.method === "HEAD" ? "" : page);
    }
  });
  return { ...served, url: `${served.url}/privacy` };
}

function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, HEADERS);
  response.end(body);
}
