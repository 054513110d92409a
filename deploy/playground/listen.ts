/** One HTTP server with the gateway's WebSocket on /gateway. Knows nothing of Discord. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { type WebSocket, WebSocketServer } from "ws";
import { CodedError, systemCode } from "#engine/base/errors.ts";

/** The largest frame that a client may send; Discord's own limit, in bytes. */
const FRAME_LIMIT_BYTES = 4_096;

/** What the server calls. */
export type Handlers = {
  readonly fetch: (request: Request) => Response | Promise<Response>;
  readonly socket: (socket: WebSocket, query: URLSearchParams) => void;
  /** Whether a request's Host and Origin are acceptable. */
  readonly admits: (headers: { host: string | undefined; origin: string | undefined }) => boolean;
};

/**
 * Listens.
 * @param port 0 for any free one
 * @throws CodedError `address_in_use` when the port is taken
 */
export async function listen(
  address: { readonly host: string; readonly port: number },
  handlers: Handlers,
): Promise<{ port: number; close: () => Promise<void> }> {
  const server = createServer(getRequestListener(handlers.fetch));
  const sockets = new WebSocketServer({ noServer: true, maxPayload: FRAME_LIMIT_BYTES });
  server.on("upgrade", (request, socket, head) =>
    upgrade(sockets, handlers, request, socket, head),
  );
  await bind(server, address);
  const close = () =>
    new Promise<void>((resolve) => {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { port: boundPort(server.address()), close };
}

function upgrade(
  sockets: WebSocketServer,
  handlers: Handlers,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const { host, origin } = request.headers;
  const url = URL.parse(request.url ?? "/", "http://localhost");
  if (url === null || !/^\/gateway\/?$/.test(url.pathname) || !handlers.admits({ host, origin })) {
    socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
    return;
  }
  sockets.handleUpgrade(request, socket, head, (client) =>
    handlers.socket(client, url.searchParams),
  );
}

function bind(
  server: Server,
  address: { readonly host: string; readonly port: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(explain(error, address)));
    server.listen(address.port, address.host, () => resolve());
  });
}

function explain(
  error: Error,
  { host, port }: { readonly host: string; readonly port: number },
): Error {
  if (systemCode(error) !== "EADDRINUSE") return error;
  return new CodedError(
    `The playground could not listen on ${host}:${port}: another program has that port. Stop it, or set PLAYGROUND_PORT to a free port (0 picks one).`,
    { code: "address_in_use", cause: error },
  );
}

function boundPort(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("Expected a TCP address.");
  return address.port;
}
