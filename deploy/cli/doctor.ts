/**
 * `zephyr doctor`: what this installation needs, each thing looked at by itself, with what to do where
 * it is not well. It changes nothing.
 */
import { existsSync, mkdtempSync, rmSync, statfsSync, statSync } from "node:fs";
import { totalmem } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openRegistry } from "#engine/adapters/registry.ts";
import { explainWriteError, writeFileAtomic } from "#engine/base/atomic-file.ts";
import { type Config, loadConfig, SETTING_NAMES } from "#engine/base/config.ts";
import { refuseNewer } from "#engine/base/database.ts";
import { explainUnknownName, readEnvFile, unknownNames } from "#engine/base/env-file.ts";
import { isZephyrTemplate } from "#engine/llama/chat-template.ts";
import { chooseBuild } from "#engine/llama/gpu-build.ts";
import { checkModelFile } from "#engine/llama/model-file.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { loadLibraries } from "#engine/native/library.ts";
import { locateModel } from "#engine/service/model-path.ts";
import { feedbackPath } from "#trainer/feedback/log.ts";
import { MIGRATIONS } from "#trainer/feedback/schema.ts";
import { assertPortFree } from "../start/ports.ts";
import type { CommandResult } from "./adapters.ts";
import { lookAtBlocklist, lookAtLanguages, lookAtMasterKey, lookAtShards } from "./bot-checks.ts";
import { checkDiscord } from "./discord-check.ts";
import { runningEngine } from "./engine-access.ts";
import { gpuSystem, missingGpuLibraries } from "./gpu-libraries.ts";
import { guardFile, lookAtGuard } from "./guard-check.ts";
import { lookAtBackend, lookAtPictures, lookAtStores } from "./server-checks.ts";

/** The outcome of one look. */
type Finding = { readonly check: string; readonly ok: boolean; readonly detail: string };

type Look = { readonly check: string; readonly look: () => string | Promise<string> };

const NODE_NEEDED = [24, 12] as const;
const FREE_BYTES_WANTED = 1 << 30;
const GIBIBYTE = 1 << 30;
/** The rest is for the cache, the bot and the system. */
const MODEL_SHARE_MOST = 0.8;

/** Looks at everything. `healthy` is false when anything is not as it must be. */
export async function doctor(): Promise<CommandResult & { readonly healthy: boolean }> {
  const findings = [await find({ check: "Node.js", look: lookAtNode })];
  const settings = await findSettings();
  findings.push(settings.finding);
  if (settings.config !== undefined) {
    for (const look of looksFor(settings.config)) findings.push(await find(look));
  }
  const healthy = findings.every(({ ok }) => ok);
  const lines = findings.map(({ check, ok, detail }) => `${ok ? "✓" : "✗"} ${check}: ${detail}`);
  return { result: { healthy, findings }, text: lines.join("\n"), healthy };
}

function looksFor(config: Config): readonly Look[] {
  return [
    { check: "libraries", look: () => lookAtLibraries(config) },
    { check: "GPU", look: () => lookAtGpu() },
    config.BACKEND_URL === undefined
      ? { check: "model", look: () => lookAtModel(config) }
      : { check: "backend", look: () => lookAtBackend(config) },
    { check: "template", look: () => lookAtTemplate(config) },
    { check: "guard", look: () => lookAtGuard(config) },
    { check: "blocklist", look: () => lookAtBlocklist(config) },
    { check: "pictures", look: () => lookAtPictures(config) },
    { check: "memory", look: () => lookAtMemory(config) },
    { check: "data folder", look: () => lookAtDataFolder(config) },
    { check: "feedback", look: () => lookAtFeedback(config) },
    { check: "adapters", look: () => lookAtAdapters(config) },
    { check: "stores", look: () => lookAtStores(config) },
    { check: "master key", look: () => lookAtMasterKey(config) },
    { check: "languages", look: () => lookAtLanguages(config) },
    { check: "ports", look: () => lookAtPorts(config) },
    { check: "Discord token", look: () => lookAtToken(config) },
    { check: "shards", look: () => lookAtShards(config) },
  ];
}

async function find({ check, look }: Look): Promise<Finding> {
  try {
    return { check, ok: true, detail: await look() };
  } catch (error) {
    return { check, ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

async function findSettings(): Promise<{ config?: Config; finding: Finding }> {
  let config: Config | undefined;
  const finding = await find({
    check: "settings",
    look: () => {
      config = loadConfig();
      return lookAtNames();
    },
  });
  return config === undefined ? { finding } : { config, finding };
}

/** Names in `.env`. @throws Error where one is like a setting's: whoever wrote it meant that */
function lookAtNames(): string {
  const unknown = unknownNames(Object.keys(readEnvFile()), SETTING_NAMES);
  const said = unknown.map(explainUnknownName).join(" ");
  if (unknown.some(({ nearest }) => nearest !== undefined)) throw new Error(said);
  return said === "" ? "usable" : `usable. ${said}`;
}

function lookAtNode(): string {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [majorNeeded, minorNeeded] = NODE_NEEDED;
  if (major > majorNeeded || (major === majorNeeded && minor >= minorNeeded)) {
    return process.version;
  }
  throw new Error(
    `${process.version}, but ${NODE_NEEDED.join(".")} or later is needed. Install it from https://nodejs.org.`,
  );
}

async function lookAtLibraries(config: Config): Promise<string> {
  const build = await chooseBuild(config.GPU);
  loadLibraries(build.folder);
  return build.reason;
}

function lookAtGpu(): string {
  const missing = missingGpuLibraries(gpuSystem());
  if (missing !== undefined) throw new Error(missing);
  return "no library is missing";
}

async function lookAtModel(config: Config): Promise<string> {
  const found = await modelFile(config);
  return found === undefined
    ? `${config.MODEL}, looked for when it is first served; "npx zephyr model get" fetches one before`
    : `${found.id} at ${found.path}`;
}

/** The model's file, where there is one on this machine already. */
async function modelFile(config: Config) {
  if (config.BACKEND_URL !== undefined) return undefined;
  const refuse = () => Promise.resolve("");
  const found = await locateModel(config.MODEL, config.DATA_DIR, refuse);
  return found.path === "" ? undefined : found;
}

async function lookAtTemplate(config: Config): Promise<string> {
  if (config.BACKEND_URL !== undefined) return "the server's own";
  const found = await modelFile(config);
  if (found === undefined) return "looked at once there is a model";
  const build = await chooseBuild(config.GPU);
  using file = GgufFile.open(found.path, loadLibraries(build.folder));
  checkModelFile(file);
  const template = file.value("tokenizer.chat_template");
  if (template === undefined) return "none in the file, so Zephyr's is used";
  if (typeof template === "string" && isZephyrTemplate(template)) return "Zephyr's";
  throw new Error(
    `${found.path} has another chat template than Zephyr's (<|user|>, <|assistant|> and EOS); its answers would be garbled. Use a model of Zephyr's family ("npx zephyr model get zephyr"), or serve this one by llama-server and BACKEND_URL.`,
  );
}

/** Weights are mapped, so a model larger than the memory would load, and then be read from disk all the time. */
async function lookAtMemory(config: Config): Promise<string> {
  const [totalBytes, availableBytes] = [totalmem(), process.availableMemory()];
  const there = `${(availableBytes / GIBIBYTE).toFixed(1)} of ${(totalBytes / GIBIBYTE).toFixed(1)} GiB free`;
  const files = [await modelFile(config), await guardFile(config)];
  const modelBytes = files.reduce(
    (sum, found) => sum + (found === undefined ? 0 : statSync(found.path).size),
    0,
  );
  if (modelBytes <= totalBytes * MODEL_SHARE_MOST) return there;
  throw new Error(
    `${there}, but the models have ${(modelBytes / GIBIBYTE).toFixed(1)} GiB. Take a smaller quantisation: "npx zephyr model get zephyr" chooses one that fits.`,
  );
}

function lookAtDataFolder({ DATA_DIR: folder }: Config): string {
  const there = nearestFolder(folder);
  tryWriting(there, folder);
  const { bavail, bsize } = statfsSync(there);
  const freeBytes = bavail * bsize;
  const free = `${(freeBytes / GIBIBYTE).toFixed(1)} GiB free`;
  const state = there === folder ? "writable" : "made at the first start";
  if (freeBytes >= FREE_BYTES_WANTED) return `${folder}, ${state}, ${free}`;
  throw new Error(`${folder} has ${free}. Make room, or set DATA_DIR to a larger disk.`);
}

/** Itself, or the one of those above it that is there. */
function nearestFolder(path: string): string {
  return existsSync(path) ? path : nearestFolder(dirname(path));
}

/** @throws CodedError `not_writable`, `disk_full` */
function tryWriting(there: string, folder: string): void {
  let trial: string | undefined;
  try {
    trial = mkdtempSync(join(there, ".doctor-"));
    writeFileAtomic(join(trial, "trial"), "can be written");
  } catch (error) {
    throw explainWriteError(error, folder);
  } finally {
    if (trial !== undefined) rmSync(trial, { recursive: true, force: true });
  }
}

function lookAtFeedback(config: Config): string {
  const path = feedbackPath(config.DATA_DIR);
  if (!existsSync(path)) return "none yet";
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const row = database.prepare("PRAGMA quick_check(1)").get();
    const verdict = String(row?.["quick_check"]);
    if (verdict !== "ok") {
      throw new Error(`${path} is damaged (${verdict}). Move it aside and restore a backup.`);
    }
    refuseNewer(database, path, MIGRATIONS.length);
    const count = database.prepare("SELECT count(*) AS n FROM events").get()?.["n"];
    return `${count} events in ${path}`;
  } finally {
    database.close();
  }
}

function lookAtAdapters(config: Config): string {
  if (!existsSync(config.DATA_DIR)) return "none yet";
  const registry = openRegistry(config.DATA_DIR);
  const { current, problem } = registry.pointer();
  if (problem !== undefined) throw new Error(problem);
  const adapters = registry.list();
  const damaged = adapters.filter((entry) => "problem" in entry);
  const [first] = damaged;
  if (first !== undefined) {
    throw new Error(`${damaged.length} damaged. ${"problem" in first ? first.problem : ""}`);
  }
  return `${adapters.length}, serving ${current ?? "the bare weights"}`;
}

async function lookAtPorts(config: Config): Promise<string> {
  if ((await runningEngine(config)) !== undefined) return "the engine runs";
  if (config.ENGINE_URL !== undefined) {
    throw new Error(`No engine answers at ENGINE_URL, ${config.ENGINE_URL}. Start it there.`);
  }
  await assertPortFree("ENGINE_PORT", config.ENGINE_HOST, config.ENGINE_PORT);
  await assertPortFree("PLAYGROUND_PORT", config.PLAYGROUND_HOST, config.PLAYGROUND_PORT);
  return `${config.ENGINE_PORT} and ${config.PLAYGROUND_PORT} are free`;
}

/** A bot's token has three parts, the first its id: https://discord.com/developers/docs/reference#authentication */
async function lookAtToken(config: Config): Promise<string> {
  const { DISCORD_TOKEN: token } = config;
  if (token === undefined) return "none: the playground runs";
  if (/^[\w-]{18,}\.[\w-]{6,}\.[\w-]{27,}$/.test(token)) {
    return checkDiscord(config.DISCORD_API_URL, token);
  }
  throw new Error(
    "DISCORD_TOKEN does not have the form of a bot's token (three parts between dots). Copy it anew: Developer Portal → your application → Bot → Reset token.",
  );
}
