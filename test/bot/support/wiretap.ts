/** Stands between the bot and the local Discord's REST API, and keeps what the bot sends and asks. */
import { createServer, type Server } from "node:http";

/** One request of the bot with a JSON body. */
export type Sent = { readonly method: string; readonly path: string; readonly body: unknown };

/** Forwards everything. */
export class Wiretap {
  readonly sent: Sent[] = [];
  /** Addresses of what was asked without a body, with their queries. */
  readonly asked: string[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @param targetUrl the origin that requests go on to */
  static async start(targetUrl: string): Promise<Wiretap> {
    const server = createServer();
    const tap = new Wiretap(server);
    server.on("request", async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(Buffer.from(chunk));
      const bytes = Buffer.concat(chunks);
      const text = bytes.toString("utf8");
      const [method, path] = [request.method ?? "GET", request.url ?? "/"];
      if (text === "") tap.asked.push(path);
      else tap.sent.push({ method, path, body: parse(text) });
      const headers = { ...request.headers };
      delete headers.host;
      delete headers.connection;
      delete headers["content-length"];
      const answer = await fetch(targetUrl + path, {
        method,
        headers: Object.entries(headers).map(([name, value]) => [name, String(value)]),
        ...(text === "" ? {} : { body: bytes }),
      });
      const {
        connection: _,
        "transfer-encoding": __,
        ...rest
      } = Object.fromEntries(answer.headers);
      response.writeHead(answer.status, rest);
      response.end(Buffer.from(await answer.arrayBuffer()));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return tap;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not listening");
    return `http://127.0.0.1:${address.port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
