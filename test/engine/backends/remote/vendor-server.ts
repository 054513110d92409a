/**
 * A server on loopback that speaks OpenAI's wire and answers what a test scripts, with every request on
 * record: for the vendors' own calls, and for failures that no real server has on demand.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { onTestFinished } from "vitest";

/** A request as it came. */
type Recorded = {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Record<string, unknown>;
};

/** Answers a request; undefined leaves it to the next, at last to a chat that says "hello there". */
type Answerer = (request: Recorded, response: ServerResponse) => boolean | undefined;

/** Starts a server; it closes when the test ends. */
export async function startVendor(answer: Answerer = () => undefined, wantedPort = 0) {
  const requests: Recorded[] = [];
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const recorded: Recorded = {
        method: request.method ?? "",
        path: request.url ?? "",
        authorization: request.headers.authorization,
        body,
      };
      requests.push(recorded);
      if (answer(recorded, response) === true) return;
      answerByDefault(recorded, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(wantedPort, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  onTestFinished(async () => {
    if (server.listening) await close();
  });
  const calls = () => requests.map(({ method, path }) => `${method} ${path}`);
  return { url: `http://127.0.0.1:${port}`, requests, calls, close };
}

/** Answers with JSON. */
export function reply(response: ServerResponse, body: unknown, status = 200): true {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  return true;
}

/** Answers with a stream that says these pieces and ends. */
export function say(response: ServerResponse, pieces: readonly string[]): true {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (chunk: object) => response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  for (const content of pieces) send({ choices: [{ index: 0, delta: { content } }] });
  send({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
  send({ choices: [], usage: { prompt_tokens: 7, completion_tokens: pieces.length } });
  response.end("data: [DONE]\n\n");
  return true;
}

function answerByDefault({ path }: Recorded, response: ServerResponse): void {
  if (path === "/v1/models")
    reply(response, { data: [{ id: "org/base-model", max_model_len: 512 }] });
  else if (path === "/v1/chat/completions") say(response, ["hello ", "there"]);
  else reply(response, {});
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  try {
    return JSON.parse(text);
  } catch {
    return { text };
  }
}
