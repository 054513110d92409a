/** Serves the privacy statement over HTTP, and nothing else. It knows nothing of what it says. */
import { createServer, type ServerResponse } from "node:http";
import { CodedError, systemCode } from "#engine/base/errors.ts";

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

/** A page being served. */
export type PrivacyPage = { readonly url: string; readonly close: () => Promise<void> };

/**
 * Serves the page at / and /privacy.
 * @param port 0 for any free one
 * @param html the page now, for a language of the address (`?lang=de`) or the browser's own
 * @throws CodedError `address_in_use`
 */
export async function servePrivacyPage(
  at: { readonly host: string; readonly port: number },
  html: (asked: PageRequest) => string,
): Promise<PrivacyPage> {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (!isRead) answer(response, 405, "Only GET is served here.");
    else if (pathname !== "/" && pathname !== "/privacy") answer(response, 404, "Not found.");
    else {
      const language = searchParams.get("lang") ?? undefined;
      const page = html({ language, acceptLanguage: request.headers["accept-language"] });
      answer(response, 200, request.method === "HEAD" ? "" : page);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(explain(error, at.port)));
    server.listen(at.port, at.host, () => resolve());
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : at.port;
  return {
    url: `http://${at.host.includes(":") ? `[${at.host}]` : at.host}:${port}/privacy`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, HEADERS);
  response.end(body);
}

function explain(error: Error, port: number): Error {
  if (systemCode(error) !== "EADDRINUSE") return error;
  return new CodedError(
    `The privacy page could not be served on port ${port}: another program has it. Set PRIVACY_PORT to a free one (0 picks one).`,
    { code: "address_in_use", cause: error },
  );
}
