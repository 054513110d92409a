/** The vendors' own calls, each by its documentation. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { CodedError } from "../../base/errors.ts";
import { jsonObjectGrammar, schemaToGrammar } from "../../llama/schema-grammar.ts";
import type { AnswerShape } from "../backend.ts";
import type { Tools } from "../prompt.ts";
import { toWireTools } from "../wire-prompt.ts";
import type { BackendKind, Vendor, VendorCall } from "./vendor.ts";

const models = z.object({
  data: z.array(
    z.object({
      id: z.string(),
      max_model_len: z.number().nullish(),
      loaded_context_length: z.number().nullish(),
      max_context_length: z.number().nullish(),
      // LM Studio's: `vlm` is a model that takes pictures.
      type: z.string().nullish(),
    }),
  ),
});

/** Any server that speaks OpenAI's wire and has no adapters. */
const OPENAI: Vendor = {
  kind: "openai",
  isExclusive: false,
  async describe({ link, model, signal }) {
    return contextOf(await link.json({ path: "/v1/models", signal }), model);
  },
  load: async () => {
    throw cannotAdapt("This server has no call for adapters", "Set BACKEND_KIND, or serve locally");
  },
  unload: async () => {},
  select: async () => {},
  fields: (model) => ({ model }),
  shapeFields(shape) {
    if (shape.type === "grammar") return { grammar: shape.gbnf, guided_grammar: shape.gbnf };
    if (shape.schema === null) return { response_format: { type: "json_object" } };
    const json_schema = { name: "answer", strict: true, schema: shape.schema };
    return { response_format: { type: "json_schema", json_schema } };
  },
  toolFields: toWireTools,
};

/** https://docs.vllm.ai/en/stable/features/lora.html#dynamically-serving-lora-adapters */
const VLLM: Vendor = {
  ...OPENAI,
  kind: "vllm",
  async load({ link, signal }, name, path) {
    // vLLM reads PEFT's format, which is exported beside the GGUF.
    const folder = join(dirname(path), "peft");
    if (!existsSync(join(folder, "adapter_config.json"))) {
      throw cannotAdapt(
        `vLLM reads adapters in PEFT's format, and ${folder} holds none`,
        "Export it there by `npx zephyr adapters export`",
      );
    }
    await link.send({
      method: "POST",
      path: "/v1/load_lora_adapter",
      // An adapter of that name may be loaded from before: what is in the folder now counts.
      body: { lora_name: name, lora_path: folder, load_inplace: true },
      signal,
    });
    return { name, id: name };
  },
  async unload({ link, signal }, { id }) {
    const body = { lora_name: id };
    await link.send({
      method: "POST",
      path: "/v1/unload_lora_adapter",
      body,
      signal,
      accept: [404],
    });
  },
  fields: (model, adapter) => ({ model: adapter?.id ?? model }),
};

const loraList = z.array(z.object({ id: z.number(), path: z.string() }));
const props = z.object({
  total_slots: z.number().nullish(),
  default_generation_settings: z.object({ n_ctx: z.number() }).nullish(),
  modalities: z.object({ vision: z.boolean().nullish() }).nullish(),
  chat_template_caps: z.object({ supports_tools: z.boolean().nullish() }).nullish(),
});

/** llama.cpp, tools/server/README.md: `/lora-adapters`, and `lora` in each request. */
const LLAMA_SERVER: Vendor = {
  ...OPENAI,
  kind: "llama-server",
  async describe({ link, signal }) {
    const parsed = props.safeParse(await link.json({ path: "/props", signal }));
    const tokens = parsed.data?.default_generation_settings?.n_ctx;
    const streams = parsed.data?.total_slots;
    const takesImages = parsed.data?.modalities?.vision ?? undefined;
    const takesTools = parsed.data?.chat_template_caps?.supports_tools ?? undefined;
    const listed = loraList.safeParse(await link.json({ path: "/lora-adapters", signal }));
    return {
      ...(tokens ? { contextTokens: tokens } : {}),
      ...(streams ? { streams } : {}),
      ...(takesImages === undefined ? {} : { takesImages }),
      ...(takesTools === undefined ? {} : { takesTools }),
      adapterIds: (listed.data ?? []).map(({ id }) => String(id)),
    };
  },
  async load({ link, signal }, name, path) {
    const listed = loraList.safeParse(await link.json({ path: "/lora-adapters", signal }));
    const wanted = [path, join(name, basename(path)), `${name}.gguf`];
    const found = listed.data?.find((entry) =>
      wanted.some((one) => entry.path === one || entry.path.endsWith(`/${one}`)),
    );
    if (found !== undefined) return { name, id: String(found.id) };
    throw cannotAdapt(
      `llama-server has no adapter ${name}, and cannot load one while it runs`,
      `Start it again with --lora ${path} --lora-init-without-apply`,
    );
  },
  shapeFields: (shape) => ({ grammar: asGrammar(shape) }),
  toolFields: (tools) => toWireTools(onlyNamed(tools)),
  // All are named: those that are not are applied, even with --lora-init-without-apply (seen with v0.4.0).
  fields: (model, adapter, adapterIds) => ({
    model,
    ...(adapterIds.length === 0
      ? {}
      : { lora: adapterIds.map((id) => ({ id: Number(id), scale: id === adapter?.id ? 1 : 0 })) }),
  }),
};

/** One function by name is asked for by offering that one alone, where a server knows no names here. */
function onlyNamed(tools: Tools): Tools {
  const { choice, functions } = tools;
  if (typeof choice === "string") return tools;
  return {
    ...tools,
    functions: functions.filter(({ name }) => name === choice.name),
    choice: "required",
  };
}

/** Its own schemas fail with templates that it takes for a tool format, as it does Zephyr's (v0.4.0). */
function asGrammar(shape: AnswerShape): string {
  if (shape.type === "grammar") return shape.gbnf;
  return shape.schema === null ? jsonObjectGrammar() : schemaToGrammar(shape.schema);
}

const ollamaInfo = z.object({
  model_info: z.record(z.string(), z.unknown()).nullish(),
  capabilities: z.array(z.string()).nullish(),
});

/** https://github.com/ollama/ollama/blob/main/docs/api.md: an adapter is a model made of base and file. */
const OLLAMA: Vendor = {
  ...OPENAI,
  kind: "ollama",
  async describe({ link, model, signal }) {
    const answer = await link.json({ method: "POST", path: "/api/show", body: { model }, signal });
    const shown = ollamaInfo.safeParse(answer).data;
    const info = Object.entries(shown?.model_info ?? {});
    const tokens = info.find(([name]) => name.endsWith(".context_length"))?.[1];
    const abilities = shown?.capabilities ?? undefined;
    return {
      ...(typeof tokens === "number" ? { contextTokens: tokens } : {}),
      ...(abilities === undefined
        ? {}
        : { takesImages: abilities.includes("vision"), takesTools: abilities.includes("tools") }),
    };
  },
  // It has no tool_choice (docs/api/openai-compatibility): "none" is none at all.
  toolFields: (tools) => (tools.choice === "none" ? {} : toWireTools(onlyNamed(tools))),
  async load({ link, model, signal }, name, path) {
    const bytes = readFileSync(path);
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    const blob = `/api/blobs/${digest}`;
    const there = await link.send({ method: "HEAD", path: blob, signal, accept: [404] });
    if (there.status === 404) await link.send({ method: "POST", path: blob, body: bytes, signal });
    const made = `${model.replace(/:.*$/, "")}-${name}`;
    await link.send({
      method: "POST",
      path: "/api/create",
      body: { model: made, from: model, adapters: { "adapter.gguf": digest }, stream: false },
      signal,
    });
    return { name, id: made };
  },
  async unload({ link, signal }, { id }) {
    const body = { model: id };
    await link.send({ method: "DELETE", path: "/api/delete", body, signal, accept: [404] });
  },
  fields: (model, adapter) => ({ model: adapter?.id ?? model }),
};

/** https://lmstudio.ai/docs/developer/rest: no adapters; its own list of models knows their context. */
const LM_STUDIO: Vendor = {
  ...OPENAI,
  kind: "lm-studio",
  async describe({ link, model, signal }) {
    return contextOf(await link.json({ path: "/api/v0/models", signal }), model);
  },
  load: async () => {
    throw cannotAdapt(
      "LM Studio cannot load adapters",
      "Merge it by `npx zephyr adapters merge` and load the merged file there, or serve locally",
    );
  },
};

/** https://github.com/oobabooga/text-generation-webui/wiki/12-‐-OpenAI-API: adapters hold for all requests. */
const WEBUI: Vendor = {
  ...OPENAI,
  kind: "text-generation-webui",
  isExclusive: true,
  describe: async () => ({}),
  load: async ({ link, signal }, name) => {
    const listed = z
      .object({ lora_names: z.array(z.string()) })
      .safeParse(await link.json({ path: "/v1/internal/lora/list", signal }));
    if (listed.data?.lora_names.includes(name) === true) return { name, id: name };
    throw cannotAdapt(
      `text-generation-webui has no adapter ${name} in its loras folder`,
      "Put its PEFT export there (`npx zephyr adapters export`)",
    );
  },
  async select({ link, signal }, adapter) {
    await link.send({ method: "POST", path: "/v1/internal/lora/unload", body: {}, signal });
    if (adapter === null) return;
    const body = { lora_names: [adapter.id] };
    await link.send({ method: "POST", path: "/v1/internal/lora/load", body, signal });
  },
};

const VENDORS: Readonly<Record<BackendKind, Vendor>> = {
  openai: OPENAI,
  vllm: VLLM,
  "llama-server": LLAMA_SERVER,
  ollama: OLLAMA,
  "lm-studio": LM_STUDIO,
  "text-generation-webui": WEBUI,
};

/** The vendor of a kind. */
export function vendorOf(kind: BackendKind): Vendor {
  return VENDORS[kind];
}

/**
 * The one model of a server that has one, the first of several.
 * @throws CodedError `backend_unreachable`
 */
export async function firstModel({ link, signal }: Omit<VendorCall, "model">): Promise<string> {
  const [id] = await listModels({ link, signal });
  if (id === undefined) throw link.unreachable("it serves no model; set BACKEND_MODEL");
  return id;
}

/** What the server says that it serves. @throws CodedError `backend_unreachable`, `backend_refused` */
export async function listModels({
  link,
  signal,
}: Omit<VendorCall, "model">): Promise<readonly string[]> {
  const parsed = models.safeParse(await link.json({ path: "/v1/models", signal }));
  return (parsed.data?.data ?? []).map(({ id }) => id);
}

function contextOf(
  answer: unknown,
  model: string,
): { contextTokens?: number; takesImages?: boolean } {
  const found = models.safeParse(answer).data?.data.find(({ id }) => id === model);
  const tokens = found?.max_model_len ?? found?.loaded_context_length ?? found?.max_context_length;
  const kind = found?.type ?? undefined;
  return {
    ...(tokens ? { contextTokens: tokens } : {}),
    ...(kind === "vlm" || kind === "llm" ? { takesImages: kind === "vlm" } : {}),
  };
}

function cannotAdapt(what: string, remedy: string): CodedError {
  return new CodedError(`${what}. ${remedy}.`, { code: "adapter_incompatible" });
}
