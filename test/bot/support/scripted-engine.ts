/** An engine that says what a test tells it to, over real HTTP with server-sent events. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { z } from "zod";

/** One step of an answer, in order. */
export type Step =
  | { readonly queued: number }
  | { readonly text: string }
  /** Holds the answer until the promise resolves. */
  | { readonly wait: Promise<unknown> }
  | { readonly end: "stop" | "length" }
  | { readonly blocked: string; readonly category?: string; readonly stage?: "input" | "output" }
  /** Breaks the connection off, as a crash does. */
  | { readonly crash: true };

const partSchema = z.union([
  z.object({ type: z.literal("text"), text: z.string() }),
  z.object({ type: z.literal("image_url"), image_url: z.object({ url: z.string() }) }),
]);
const messageSchema = z
  .object({ role: z.string(), content: z.union([z.string(), z.array(partSchema)]) })
  .transform(({ role, content }) => {
    if (typeof content === "string") return { role, content, images: [] };
    const text = content.map((part) => (part.type === "text" ? part.text : "")).join("");
    const images = content.flatMap((part) => (part.type === "text" ? [] : [part.image_url.url]));
    return { role, content: text, images };
  });
const bodySchema = z.object({
  messages: z.array(messageSchema),
  seed: z.number(),
  model: z.string().optional(),
  metadata: z.looseObject({ person: z.string(), guild: z.string().optional() }),
});

const countSchema = z.object({
  conversations: z.array(z.array(z.object({ content: z.string() }))),
});

/** What the engine was asked. */
export type Asked = z.infer<typeof bodySchema>;

/** Steps of an answer, or an error of the API. */
export type Script =
  | readonly Step[]
  | { readonly status: number; readonly code: string; readonly message: string };

/** Listens on loopback. Answers every question by `script`. */
export class ScriptedEngine {
  readonly asked: Asked[] = [];
  /** Decides the answer; a test may replace it. */
  script: (asked: Asked) => Script = () => [{ text: "An answer." }, { end: "stop" }];
  adapter: string | null = null;
  /** Names of the registry's adapters. */
  adapterNames: string[] = [];
  contextTokens = 2_048;
  /** What the moderation says of a text: a hazard's code, or undefined for none. */
  hazardOf: (text: string) => string | undefined = () => undefined;
  /** By which rules it says that it judges. */
  policy = "first";
  /** How often it was asked to judge. */
  judged = 0;
  /** Whether it says that its model takes pictures. */
  seesImages = false;
  #canary: { readonly name: string; readonly share: number } | null = null;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @param port 0 for any free one */
  static async start(port = 0): Promise<ScriptedEngine> {
    const server = createServer();
    const engine = new ScriptedEngine(server);
    server.on("request", (request, response) => {
      engine.#answer(request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return engine;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not listening");
    return `http://127.0.0.1:${address.port}`;
  }

  /** The last question's messages, as `role: content` lines, without the system prompt. */
  lastConversation(): readonly string[] {
    const messages = this.asked.at(-1)?.messages ?? [];
    return messages.slice(1).map(({ role, content }) => `${role}: ${content}`);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === "/health") return this.#health(response);
    if (request.url === "/v1/tokenize") return this.#count(request, response);
    if (request.url === "/v1/moderations") return this.#moderate(request, response);
    if (request.url === "/v1/adapters") return this.#adapters(response);
    if (request.url?.startsWith("/v1/adapters/") === true) return this.#swap(request, response);
    const asked = bodySchema.parse(JSON.parse(await readAll(request)));
    this.asked.push(asked);
    const script = this.script(asked);
    if ("status" in script) {
      const { status, code, message } = script;
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message, code } }));
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    const named = asked.model?.split(":")[1];
    const adapter = named === undefined ? this.adapter : named === "base" ? null : named;
    for (const step of script) await this.#step(step, response, adapter);
    response.end("data: [DONE]\n\n");
  }

  async #step(step: Step, response: ServerResponse, adapter: string | null): Promise<void> {
    if ("queued" in step) response.write(`: queued position=${step.queued}\n\n`);
    else if ("text" in step) this.#send(response, adapter, { delta: { content: step.text } });
    else if ("wait" in step) await step.wait;
    else if ("end" in step) this.#send(response, adapter, { delta: {}, finish_reason: step.end });
    else if ("crash" in step) response.destroy();
    else {
      const verdict = {
        stage: step.stage ?? "output",
        category: step.category ?? "S1",
        reason: step.blocked,
      };
      this.#send(response, adapter, { delta: {}, finish_reason: "content_filter", verdict });
    }
  }

  #send(response: ServerResponse, adapter: string | null, choice: object): void {
    const chunk = { model: "nano", adapter, choices: [{ index: 0, ...choice }] };
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  }

  /** As many tokens as there are words, and ten around each message. */
  async #count(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = countSchema.parse(JSON.parse(await readAll(request)));
    const counts = body.conversations.map((messages) =>
      messages.reduce((sum, { content }) => sum + content.split(/\s+/).length + 10, 0),
    );
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ object: "list", counts }));
  }

  async #moderate(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = z.object({ input: z.array(z.string()) }).parse(JSON.parse(await readAll(request)));
    this.judged += 1;
    const results = body.input.map((text) => {
      const hazard = this.hazardOf(text);
      const found = hazard === undefined ? {} : { [hazard]: 0.9 };
      return { flagged: hazard !== undefined, hazards: { S1: 0, ...found } };
    });
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ id: "modr-1", model: "lexical", results }));
  }

  async #swap(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, , , name = "", act] = request.url?.split("/") ?? [];
    const body = await readAll(request);
    const share = body === "" ? 1 : z.object({ share: z.number() }).parse(JSON.parse(body)).share;
    const previous = this.adapter;
    if (act === "activate" && share < 1) this.#canary = { name, share };
    else {
      this.#canary = null;
      this.adapter = act === "deactivate" || name === "base" ? null : name;
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ active: this.adapter, previous, canary: this.#canary }));
  }

  #adapters(response: ServerResponse): void {
    const adapters = this.adapterNames.map((name) => ({
      name,
      active: name === this.adapter,
      loaded: true,
    }));
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ active: this.adapter, canary: this.#canary, adapters }));
  }

  #health(response: ServerResponse): void {
    const model = {
      id: "nano",
      sha256: "0".repeat(64),
      parameters: 5_000_000,
      context_tokens: this.contextTokens,
      streams: 4,
      device: "CPU: no GPU was found",
      input_modalities: this.seesImages ? ["text", "image"] : ["text"],
    };
    const queue = { waiting: 0, running: 1, limit: 256 };
    response.writeHead(200, { "content-type": "application/json" });
    const { adapter, policy } = this;
    response.end(JSON.stringify({ status: "ok", problems: [], model, adapter, policy, queue }));
  }
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}
