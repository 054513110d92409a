/**
 * What `zephyr doctor` says of the servers that the settings name: those that compute tokens, judge, look at pictures
 * or keep what the bot stores. It asks each what it is, and changes nothing on them.
 */
import { reachStores } from "#bot/storage/reach.ts";
import type { Backend } from "#engine/backends/backend.ts";
import type { Ability } from "#engine/backends/prompt.ts";
import { ServerLink } from "#engine/backends/remote/server-link.ts";
import { listModels } from "#engine/backends/remote/vendors.ts";
import { systemClock } from "#engine/base/clock.ts";
import type { Config } from "#engine/base/config.ts";
import { createLog } from "#engine/base/log.ts";
import { imagesRefusal, openImageCheck } from "#engine/service/image-check.ts";
import { openBackend } from "#engine/service/open-backend.ts";

const PATIENCE_MS = 20_000;
const NAMED_MODELS = 5;
/** One white pixel: there is nothing to find in it. */
const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII=";

/**
 * What BACKEND_URL serves, in a sentence.
 * @throws CodedError `backend_unreachable`, `backend_refused`; Error naming the models that there are
 */
export async function lookAtBackend(config: Config): Promise<string> {
  const { BACKEND_URL: url = "", BACKEND_MODEL: model, BACKEND_API_KEY: apiKey } = config;
  if (model !== undefined) await assertListed({ url, apiKey, model, setting: "BACKEND_MODEL" });
  const { backend } = await openBackend(config, () => Promise.reject(new Error("none is local")));
  await using held: Backend = backend;
  const { device, path, contextTokens, tools, images } = held.info;
  return `${path}, ${device.split(" at ")[0]}: ${contextTokens} tokens of context, ${ability("tools", tools)}, ${ability("pictures", images)}`;
}

/** Whether a guard on another server is there. @throws as `lookAtBackend` */
export async function lookAtRemoteGuard(model: string, url: string): Promise<string> {
  const settings = "GUARD_URL and GUARD_MODEL";
  await assertListed({ url, apiKey: undefined, model, setting: "GUARD_MODEL", settings });
  return `${model} at ${url}`;
}

/** What happens to pictures. @throws CodedError what the check throws when it is shown one */
export async function lookAtPictures(config: Config): Promise<string> {
  if (config.BACKEND_URL === undefined) return "read by no model that runs here";
  const check = openImageCheck(config);
  if (check === undefined) {
    const why = imagesRefusal(config);
    return why === undefined
      ? "pass to the model without a check (UNCHECKED_IMAGES=allow)"
      : `kept from the model: ${why}`;
  }
  await check.check(PIXEL, AbortSignal.timeout(PATIENCE_MS));
  return `checked, ${check.name}`;
}

/** Where conversations and settings are kept. @throws CodedError `store_unreachable` */
export async function lookAtStores(config: Config): Promise<string> {
  const reached = await reachStores(config, createLog("doctor", "silent"));
  return reached.length === 0 ? `SQLite in ${config.DATA_DIR}` : reached.join("; ");
}

function ability(what: string, ability: Ability): string {
  return ability.can ? what : `no ${what} (${ability.why})`;
}

async function assertListed({
  url,
  apiKey,
  model,
  setting,
  settings,
}: {
  readonly url: string;
  readonly apiKey: string | undefined;
  readonly model: string;
  readonly setting: string;
  readonly settings?: string;
}): Promise<void> {
  const named = settings === undefined ? {} : { settings };
  const link = new ServerLink({ url, apiKey, clock: systemClock, ...named });
  const served = await listModels({ link, signal: AbortSignal.timeout(PATIENCE_MS) });
  // Ollama lists what it calls by a name alone with its tag.
  if (served.includes(model) || served.includes(`${model}:latest`)) return;
  const some = served.slice(0, NAMED_MODELS).join(", ");
  throw new Error(
    `${setting}: ${link.url} serves no ${model}; it serves ${some === "" ? "nothing" : some}${served.length > NAMED_MODELS ? " and more" : ""}. Set ${setting} to one of these, or load the model there.`,
  );
}
