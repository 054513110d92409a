/** A small HTTP server of the bot's own, for a page or for figures. It knows nothing of what it serves. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { CodedError, systemCode } from "#engine/base/errors.ts";
import type { Logger } from "#engine/base/log.ts";

/** A server that listens. */
export type Served = {
  /** Its address, without a slash at the end. */
  readonly url: string;
  readonly close: () => Promise<void>;
};

/** For those who run the bot. */
export type ServedAs = {
  /** What is served, as a sentence begins: "The privacy page". */
  readonly what: string;
  /** What to do when another program has the port. */
  readonly remedy: string;
  readonly log: Logger;
};

/** Answers one request; what it throws is logged and answered with 500. */
type Answer = (
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
) => void | Promise<void>;

/**
 * Listens. An address that is none is answered with 400.
 * @param at port 0: any free one
 * @throws CodedError `address_in_use`
 */
export async function serve(
  at: { readonly host: string; readonly port: number },
  as: ServedAs,
  answer: Answer,
): Promise<Served> {
  const server = createServer((request, response) => void respond(answer, as, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(explain(error, at.port, as)));
    server.listen(at.port, at.host, () => resolve());
  });
  return { url: addressOf(server, at), close: () => close(server) };
}

async function respond(
  answer: Answer,
  { what, log }: ServedAs,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = URL.parse(request.url ?? "/", "http://localhost");
  if (url === null) {
    response.writeHead(400).end();
    return;
  }
  try {
    await answer(request, response, url);
  } catch (error) {
    log.error({ err: error, what, path: url.pathname }, "a request could not be answered");
    if (!response.headersSent) response.writeHead(500);
    response.end();
  }
}

function addressOf(server: Server, at: { readonly host: string; readonly port: number }): string {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : at.port;
  return `http://${at.host.includes(":") ? `[${at.host}]` : at.host}:${port}`;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function explain(error: Error, port: number, { what, remedy }: ServedAs): Error {
  if (systemCode(error) !== "EADDRINUSE") return error;
  return new CodedError(
    `${what} could not be served on port ${port}: another program has it. ${remedy}`,
    { code: "address_in_use", cause: error },
  );
}
