import { once } from "node:events";
import { connect } from "node:net";
import { pino } from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { type Served, serve } from "#bot/web/serve.ts";

const AT = { host: "127.0.0.1", port: 0 };
const logged: string[] = [];
const log = pino({}, { write: (line) => void logged.push(line) });
const AS = { what: "A test", remedy: "Set another.", log };
const open: Served[] = [];

afterEach(async () => {
  for (const served of open.splice(0)) await served.close();
});

async function served(...[answer]: [Parameters<typeof serve>[2]]): Promise<string> {
  const one = await serve(AT, AS, answer);
  open.push(one);
  return one.url;
}

/** The status of a request whose target no client would send. */
async function statusOf(url: string, target: string): Promise<string | undefined> {
  const socket = connect(Number(new URL(url).port), AT.host);
  socket.end(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  const [first] = await once(socket, "data");
  return String(first).split(" ")[1];
}

describe("a server of the bot's own", () => {
  test("answers 400 to an address that is none, and goes on", async () => {
    const url = await served((_request, response) => void response.end("here"));
    expect(await statusOf(url, "//")).toBe("400");
    expect(await (await fetch(url)).text()).toBe("here");
  });

  test("answers 500 where the answer cannot be made, and goes on", async () => {
    let fails = true;
    const url = await served(async (_request, response) => {
      if (fails) throw new Error("no figures");
      response.end("here");
    });
    expect((await fetch(`${url}/figures`)).status).toBe(500);
    const line: unknown = JSON.parse(logged.at(-1) ?? "");
    expect(line).toMatchObject({
      what: "A test",
      path: "/figures",
      err: { message: "no figures" },
    });
    fails = false;
    expect((await fetch(url)).status).toBe(200);
  });

  test("says which port is taken and what to do", async () => {
    const port = Number(new URL(await served(() => {})).port);
    await expect(serve({ ...AT, port }, AS, () => {})).rejects.toMatchObject({
      code: "address_in_use",
      message: `A test could not be served on port ${port}: another program has it. Set another.`,
    });
  });
});
