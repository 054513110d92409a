/** The guard that the settings ask for, on a server that answers as Qwen3Guard does. */
import { describe, expect, it } from "vitest";
import { parseConfig } from "#engine/base/config.ts";
import { createLog } from "#engine/base/log.ts";
import { openModeration } from "#engine/service/open-moderation.ts";
import { reply, startVendor } from "../backends/remote/vendor-server.ts";

const { signal } = new AbortController();
const user = (content: string) => ({ role: "user" as const, content });

/** A chunk for each token, with its alternatives' log-probabilities. */
function verdict(unsafe: number): string {
  const token = (text: string, share: number) => ({ token: text, logprob: Math.log(share) });
  const said = unsafe > 0.5 ? " Unsafe" : " Safe";
  const tokens = [
    { ...token("Safety", 1), top_logprobs: [] },
    { ...token(":", 1), top_logprobs: [] },
    {
      ...token(said, Math.max(unsafe, 1 - unsafe)),
      top_logprobs: [token(" Unsafe", unsafe), token(" Safe", 1 - unsafe)],
    },
    { ...token("\nCategories: Violent", 1), top_logprobs: [] },
  ];
  const chunks = tokens.map((one) => ({
    choices: [{ delta: { content: one.token }, logprobs: { content: [one] } }],
  }));
  const end = { choices: [{ delta: {}, finish_reason: "stop" }] };
  return [...chunks, end].map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("");
}

async function open(settings: Record<string, string>) {
  return openModeration(parseConfig(settings), {
    chat: undefined,
    locate: () => Promise.reject(new Error("nothing to locate")),
    log: createLog("test", "silent"),
  });
}

describe("a guard on another server", () => {
  it("is sent the turns themselves, and judged by its first verdict token", async () => {
    const { url, requests } = await startVendor(({ path, body }, response) => {
      if (path !== "/v1/chat/completions") return undefined;
      const isTricky = JSON.stringify(body["messages"]).includes("tricky");
      response.writeHead(200).end(verdict(isTricky ? 0.9 : 0.001));
      return true;
    });
    await using checks = await open({ GUARD_MODEL: "guard", GUARD_URL: url });
    const { moderation } = checks;
    expect(moderation.layers).toEqual(["lexical", `guard at ${url}`]);
    expect(await moderation.checkInput([user("hello")], signal)).toEqual({ warnings: [] });
    expect(await moderation.checkInput([user("tricky")], signal)).toMatchObject({
      block: { category: "S1", probability: expect.closeTo(0.9) },
    });
    expect(requests.at(-1)?.body).toMatchObject({
      model: "guard",
      messages: [{ role: "user", content: "tricky" }],
      temperature: 0,
      top_logprobs: 20,
    });
  });

  it("withholds everything when it fails, or the lexical layer decides where that was chosen", async () => {
    const { url } = await startVendor(({ path }, response) =>
      path === "/v1/chat/completions" ? reply(response, { error: "broken" }, 500) : undefined,
    );
    const settings = { GUARD_MODEL: "guard", GUARD_URL: url };
    await using strict = await open(settings);
    expect(await strict.moderation.checkInput([user("hello")], signal)).toMatchObject({
      block: { category: "unchecked" },
    });
    await using lenient = await open({ ...settings, GUARD_FAILURE: "lexical" });
    expect(await lenient.moderation.checkInput([user("hello")], signal)).toEqual({ warnings: [] });
    expect(await lenient.moderation.checkInput([user("gas the jews")], signal)).toMatchObject({
      block: { category: "S10" },
    });
  });

  it("cannot be the chat model where another server has that", async () => {
    await expect(open({ GUARD_MODEL: "judge" })).rejects.toThrow("GUARD_MODEL=judge needs a model");
  });
});
