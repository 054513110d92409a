/** `/v1/adapters`: which adapters there are, and who answers. It holds no state and loads nothing itself. */
import type { Context, Hono } from "hono";
import { z } from "zod";
import { HttpProblem } from "../http-problem.ts";
import type { ServingAdapters } from "./serving-adapters.ts";

/** The routes and the method that each takes, for refusing others. */
export const ADAPTER_ROUTES: readonly (readonly [path: string, method: string])[] = [
  ["/v1/adapters", "GET"],
  ["/v1/adapters/:name/load", "POST"],
  ["/v1/adapters/:name/activate", "POST"],
  ["/v1/adapters/:name/deactivate", "POST"],
  ["/v1/adapters/:name/unload", "POST"],
];

const SHARE_ERROR = "expected a number above 0, up to 1";
const activation = z.object({
  share: z.number({ error: SHARE_ERROR }).gt(0, SHARE_ERROR).max(1, SHARE_ERROR).nullish(),
});

/** Adds the routes. */
export function addAdapterRoutes<E extends object>(app: Hono<E>, adapters: ServingAdapters): void {
  app.get("/v1/adapters", (c) =>
    c.json({
      object: "list",
      active: adapters.active,
      canary: adapters.canary,
      adapters: adapters.list(),
    }),
  );
  app.post("/v1/adapters/:name/load", async (c) => {
    const name = c.req.param("name");
    await adapters.load(name);
    return c.json({ name, loaded: true });
  });
  app.post("/v1/adapters/:name/activate", async (c) => {
    const name = c.req.param("name");
    const share = await readShare(c);
    if (share < 1 && name === "base") {
      throw invalid("the bare weights cannot be tried by a share of the guilds; leave share out");
    }
    return c.json(await adapters.activate(name, share));
  });
  app.post("/v1/adapters/:name/deactivate", async (c) =>
    c.json(await adapters.deactivate(c.req.param("name"))),
  );
  app.post("/v1/adapters/:name/unload", async (c) => {
    const name = c.req.param("name");
    return c.json({ name, loaded: false, ...(await adapters.unload(name)) });
  });
}

/** `{"share": 0.1}`; no body is everyone. */
async function readShare(c: Context): Promise<number> {
  const text = await c.req.text();
  if (text.trim() === "") return 1;
  const parsed = activation.safeParse(parseJson(text));
  if (!parsed.success) {
    throw invalid(`expected no body or {"share": 0.1}: ${parsed.error.issues[0]?.message}`);
  }
  return parsed.data.share ?? 1;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function invalid(what: string): HttpProblem {
  return new HttpProblem(`share: ${what}.`, {
    status: 400,
    code: "invalid_request",
    param: "share",
  });
}
