/** A service on a free port of this machine over any backend, for tests that talk HTTP to it. */

import { onTestFinished } from "vitest";
import { openRegistry } from "#engine/adapters/registry.ts";
import type { Backend } from "#engine/backends/backend.ts";
import { systemClock } from "#engine/base/clock.ts";
import { createLog } from "#engine/base/log.ts";
import { EngineClient } from "#engine/client/engine-client.ts";
import { compileLexicon } from "#engine/moderation/lexical.ts";
import { type ImageModerator, Moderation, type Moderator } from "#engine/moderation/moderator.ts";
import { ServingAdapters } from "#engine/service/adapters/serving-adapters.ts";
import { type Service, startService } from "#engine/service/server.ts";
import { temporaryFolder } from "../adapters/adapter-fixture.ts";
import { ScriptedBackend, type ScriptedRun } from "./scripted-backend.ts";

/** Starts a service; the caller drains it. */
export async function serve<B extends Backend>(
  backend: B,
  options: {
    dataDir?: string;
    queueLimit?: number;
    checkStreams?: number;
    deadlineMs?: number;
    apiKey?: string;
    clientKeys?: readonly string[];
    moderators?: readonly Moderator[];
    images?: ImageModerator;
    isFailOpen?: boolean;
    blocklist?: readonly string[];
    ceiling?: readonly string[];
  } = {},
) {
  const log = createLog("test", "silent");
  const registry = openRegistry(options.dataDir ?? temporaryFolder());
  const adapters = await ServingAdapters.open({ registry, backend, log });
  const service: Service = await startService({
    backend,
    adapters,
    moderation: new Moderation({
      lexicon: compileLexicon(options.blocklist),
      moderators: options.moderators ?? [],
      images: options.images,
      failOpen: options.isFailOpen === true,
      ceiling: new Set(options.ceiling),
      onFailure: () => {},
    }),
    clock: systemClock,
    log,
    host: "127.0.0.1",
    port: 0,
    queueLimit: options.queueLimit ?? 8,
    ...(options.checkStreams === undefined ? {} : { checkStreams: options.checkStreams }),
    deadlineMs: options.deadlineMs ?? 60_000,
    apiKeys: [
      ...(options.apiKey === undefined ? [] : [options.apiKey]),
      ...(options.clientKeys ?? []),
    ],
  });
  return { backend, registry, adapters, service, url: service.url };
}

/** Starts a service over a script, to be closed when the test ends. */
export async function startScripted(
  options: Parameters<typeof serve>[1] & {
    streams?: number;
    script?: (run: ScriptedRun) => void;
    isAble?: boolean;
  } = {},
) {
  const served = await serve(new ScriptedBackend(options), options);
  onTestFinished(() => served.service.drain(0));
  const { apiKey } = options;
  const client = new EngineClient({
    url: served.url,
    ...(apiKey === undefined ? {} : { apiKey }),
  });
  return { ...served, client };
}

/** A script that says a text word by word and ends. */
export const answer = (text: string) => (run: ScriptedRun) => {
  for (const piece of text.match(/\S+\s*/g) ?? []) run.say(piece);
  run.end();
};

/** The parsed `data:` events of a finished stream, the last one as it came, and its comments. */
export async function readEvents(response: Response) {
  const lines = (await response.text()).split("\n");
  const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
  return {
    last: data.at(-1),
    data: data.filter((line) => line !== "[DONE]").map((line) => JSON.parse(line)),
    names: lines.filter((line) => line.startsWith("event: ")).map((line) => line.slice(7)),
    comments: lines.filter((line) => line.startsWith(":")),
  };
}

/** The same message as the client takes it. */
export function chat(content: string) {
  return { messages: [{ role: "user" as const, content }] };
}

/** Posts a body to the chat route; an object is sent as JSON. */
export function post(
  url: string,
  body: unknown,
  init: Omit<RequestInit, "body"> = {},
): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    ...init,
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** A request with one message. */
export function ask(content: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { messages: [{ role: "user", content }], ...more };
}

/** Everything that an iterable gives. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
