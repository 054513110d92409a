/**
 * Makes the checks that the settings ask for, and owns the guard model that they run.
 * It knows no request.
 */
import type { Backend } from "../backends/backend.ts";
import { BackendGuard } from "../backends/guard-model.ts";
import { type LocalBackend, openLocalBackend } from "../backends/local.ts";
import { openRemoteBackend } from "../backends/remote/remote.ts";
import { systemClock } from "../base/clock.ts";
import type { Config } from "../base/config.ts";
import { CodedError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { Guard } from "../moderation/guard.ts";
import { compileLexicon, readBlocklist } from "../moderation/lexical.ts";
import { Moderation, type Moderator } from "../moderation/moderator.ts";
import { checkShippedGuard, formatOfGuard, isShippedGuard } from "./guard-file.ts";
import { openImageCheck } from "./image-check.ts";
import type { ModelLocation, ModelSetting } from "./model-path.ts";

/** The checks, with what they hold open. To be disposed before the chat's backend. */
type OpenModeration = AsyncDisposable & {
  readonly moderation: Moderation;
  /** What the guard takes, in sentences for people; undefined without one in this process. */
  readonly memory: string | undefined;
};

type OpenGuard = { readonly model: BackendGuard; readonly backend: Backend };

/** A guard's prompt has up to 650 tokens; the rest is for what it judges. */
const GUARD_CONTEXT_TOKENS = 2048;

/**
 * Opens the checks.
 * @param options.chat the backend that answers; undefined where another server does
 * @param options.locate finds, or fetches, the model that GUARD_MODEL names
 * @throws CodedError `config_invalid`, `model_missing`, `model_invalid`
 */
export async function openModeration(
  config: Config,
  options: {
    readonly chat: LocalBackend | undefined;
    readonly locate: (model: string, setting: ModelSetting) => Promise<ModelLocation>;
    readonly log: Logger;
  },
): Promise<OpenModeration> {
  const { log } = options;
  const blocklist = config.BLOCKLIST_FILE === undefined ? [] : readBlocklist(config.BLOCKLIST_FILE);
  const lexicon = compileLexicon(blocklist);
  const guard = await openGuard(config, options);
  const moderators: readonly Moderator[] =
    guard === undefined ? [] : [new Guard(guard.model, formatOfGuard(config))];
  return {
    moderation: new Moderation({
      lexicon,
      moderators,
      images: openImageCheck(config),
      ceiling: new Set(config.GUARD_ALWAYS_BLOCKS),
      failOpen: config.GUARD_FAILURE === "lexical",
      onFailure: (name, err) => log.error({ event: "check_failed", check: name, err }),
    }),
    memory: guard?.backend.info.memory,
    [Symbol.asyncDispose]: async () => guard?.backend[Symbol.asyncDispose](),
  };
}

async function openGuard(
  config: Config,
  { chat, locate }: Parameters<typeof openModeration>[1],
): Promise<OpenGuard | undefined> {
  const { GUARD_MODEL: name, GUARD_STREAMS: streams } = config;
  if (name === "off") return undefined;
  if (config.GUARD_URL !== undefined) return openRemoteGuard(name, config.GUARD_URL, streams);
  if (name === "judge") {
    if (chat === undefined) {
      throw new CodedError(
        "GUARD_MODEL=judge needs a model in this process, but BACKEND_URL names another server. Give a guard model's file or address, or off.",
        { code: "config_invalid" },
      );
    }
    const { contextTokens, id } = chat.info;
    const tokens = Math.min(contextTokens, GUARD_CONTEXT_TOKENS);
    const backend = chat.openBeside({ streams, contextTokens: tokens });
    return { model: new BackendGuard(`${id} as judge`, backend), backend };
  }
  const { id, path } = await locate(name, "GUARD_MODEL");
  if (isShippedGuard(config)) checkShippedGuard(path);
  const { turn } = formatOfGuard(config);
  const backend = await openLocalBackend({
    modelPath: path,
    modelId: id,
    gpu: config.GPU,
    gpuLayers: config.GPU_LAYERS,
    contextTokens: GUARD_CONTEXT_TOKENS,
    streams,
    ...(turn === undefined ? {} : { turn }),
    ...(config.THREADS === undefined ? {} : { threads: config.THREADS }),
  });
  return { model: new BackendGuard(id, backend), backend };
}

/** The server's template asks the guard's question, so it is sent the turns themselves. */
async function openRemoteGuard(model: string, url: string, streams: number): Promise<OpenGuard> {
  const backend = await openRemoteBackend({
    url,
    kind: "openai",
    model,
    contextTokens: GUARD_CONTEXT_TOKENS,
    streams,
    clock: systemClock,
    settings: "GUARD_URL and GUARD_MODEL",
  });
  const name = `${model} at ${url}`;
  return { model: new BackendGuard(name, backend, { wrapsItself: true }), backend };
}
