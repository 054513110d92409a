/**
 * Every setting of the project in one schema, read once by each entry point, slices handed on.
 * `.env.example` explains each to the person who hosts; a test holds the two together.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { readEnvFile } from "./env-file.ts";
import { CodedError } from "./errors.ts";

const PORT = "expected a port, 0 to 65535";
const port = z.coerce.number(PORT).int(PORT).min(0, PORT).max(65_535, PORT);
const COUNT = "expected a whole number, 1 or more";
const count = z.coerce.number(COUNT).int(COUNT).min(1, COUNT);
const AMOUNT = "expected a whole number, 0 or more";
const amount = z.coerce.number(AMOUNT).int(AMOUNT).min(0, AMOUNT);
const flag = z.enum(["true", "false"]).transform((value) => value === "true");
const url = z.url({
  protocol: /^https?$/,
  error: "expected an address such as http://127.0.0.1:8000",
});

/** The linear layers of a block that an adapter can sit on, by the field's short names. */
export const LORA_TARGETS = ["q", "k", "v", "o", "gate", "up", "down"] as const;
const LORA_LAYERS_MOST = 512;

/** `q,v,down`: each target once. */
const loraTargets = z
  .string()
  .transform((text) => text.split(",").map((name) => name.trim()))
  .pipe(z.array(z.enum(LORA_TARGETS)).min(1))
  .refine((names) => new Set(names).size === names.length, "a target is named twice");

/** `0-7,31`: single blocks and ranges, counted from 0. */
const loraLayers = z
  .string()
  .regex(/^\d{1,3}(-\d{1,3})?(,\d{1,3}(-\d{1,3})?)*$/, "expected blocks such as 0-7,31")
  .transform((text) => [...new Set(text.split(",").flatMap(blocksOf))].sort((a, b) => a - b))
  .refine(
    (blocks) => blocks.length > 0 && blocks.every((block) => block < LORA_LAYERS_MOST),
    `expected ranges upwards, of blocks below ${LORA_LAYERS_MOST}`,
  );

/** Llama Guard's codes: `S3,S9`. */
const hazards = z
  .string()
  .transform((text) => text.split(",").map((code) => code.trim()))
  .pipe(z.array(z.string().regex(/^S([1-9]|1[0-4])$/, "expected hazards from S1 to S14")).min(1));

const schema = z.object({
  DISCORD_TOKEN: z.string().min(1).optional(),
  DISCORD_TOKEN_FILE: z.string().min(1).optional(),
  PRIVILEGED_INTENTS: z.enum(["none", "content", "members", "content,members"]).optional(),
  DISCORD_API_URL: url.default("https://discord.com/api"),
  // discord.js gives each shard's process its own number under this name.
  SHARDS: z.union([z.literal("auto"), amount]).default(1),
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: "expected postgres://…" }).optional(),
  REDIS_URL: z.url({ protocol: /^rediss?$/, error: "expected redis://… or rediss://…" }).optional(),
  BOT_METRICS_HOST: z.string().min(1).default("127.0.0.1"),
  BOT_METRICS_PORT: port.optional(),
  DATA_DIR: z.string().min(1).default("./data"),
  MODEL: z.string().min(1).default("nano"),
  HF_ENDPOINT: url.default("https://huggingface.co"),
  GPU: z.enum(["auto", "cuda", "vulkan", "metal", "cpu"]).default("auto"),
  GPU_LAYERS: amount.default(999),
  THREADS: count.optional(),
  CONTEXT_TOKENS: count.min(128).default(2048),
  STREAMS: count.max(256).default(32),
  KV_TYPE: z.enum(["f16", "q8_0"]).default("f16"),
  KV_CELLS: z.enum(["auto", "sequences", "pool"]).default("auto"),
  KV_DISK_MB: amount.default(1024),
  BACKEND_URL: url.optional(),
  BACKEND_KIND: z
    .enum(["openai", "vllm", "llama-server", "ollama", "lm-studio", "text-generation-webui"])
    .default("openai"),
  BACKEND_MODEL: z.string().min(1).optional(),
  BACKEND_API_KEY: z.string().min(1).optional(),
  BACKEND_BASE_HASH: z
    .string()
    .regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits")
    .optional(),
  BACKEND_IMAGES: z.enum(["auto", "on", "off"]).default("auto"),
  IMAGE_CHECK_URL: url.optional(),
  IMAGE_CHECK_MODEL: z.string().min(1).default("omni-moderation-latest"),
  IMAGE_CHECK_KEY: z.string().min(1).optional(),
  UNCHECKED_IMAGES: z.enum(["refuse", "allow"]).default("refuse"),
  IMAGE_URLS: z.enum(["data", "https"]).default("data"),
  QUEUE_LIMIT: count.default(256),
  REQUEST_DEADLINE_S: count.max(86_400).default(900),
  ENGINE_HOST: z.string().min(1).default("127.0.0.1"),
  ENGINE_PORT: port.default(8177),
  ENGINE_URL: url.optional(),
  ENGINE_API_KEY: z.string().min(1).optional(),
  ENGINE_CLIENT_KEYS: z
    .string()
    .default("")
    .transform((text) => text.split(",").map((key) => key.trim()))
    .transform((keys) => keys.filter((key) => key !== "")),
  PLAYGROUND_HOST: z.string().min(1).default("127.0.0.1"),
  PLAYGROUND_PORT: port.default(3000),
  PLAYGROUND_RECORD: z.string().min(1).optional(),
  TRAIN_AT: z
    .union([
      z.literal("off"),
      z.string().regex(/^([01]?\d|2[0-3]):[0-5]\d$/, "expected a local time such as 03:00, or off"),
    ])
    .default("03:00"),
  TRAIN_MIN_PAIRS: count.default(24),
  TRAIN_MAX_ANSWERS: count.default(20_000),
  TRAIN_MEMORY_MIB: count.optional(),
  TRAIN_LOSS: z
    .enum([
      "sigmoid",
      "cdpo",
      "robust",
      "hinge",
      "ipo",
      "sigmoid_norm",
      "ld",
      "rpo",
      "orpo",
      "simpo",
      "kto",
    ])
    .default("sigmoid"),
  TRAIN_BETA: z.coerce.number().positive().max(100).optional(),
  TRAIN_LONE_THUMBS: flag.default(true),
  TRAIN_LORA_RANK: count.max(1024).default(16),
  TRAIN_LORA_ALPHA: z.coerce.number().positive().max(65_536).default(16),
  TRAIN_LORA_SCALING: z.enum(["lora", "rslora"]).default("lora"),
  TRAIN_LORA_DROPOUT: z.coerce.number().min(0).lt(1).default(0),
  TRAIN_LORA_TARGETS: loraTargets.default([...LORA_TARGETS]),
  TRAIN_LORA_LAYERS: loraLayers.optional(),
  LANGUAGE_DIR: z.string().min(1).optional(),
  LEARN_FROM_DISCORD: flag.default(false),
  PLAYGROUND_CONSENT: z.enum(["given", "ask"]).default("given"),
  MASTER_KEY_FILE: z.string().min(1).optional(),
  RETENTION_DAYS: count.max(3_650).default(365),
  PRIVACY_HOST: z.string().min(1).default("127.0.0.1"),
  PRIVACY_PORT: port.default(8179),
  PRIVACY_URL: url.optional(),
  PRIVACY_CONTACT: z.string().min(1).optional(),
  PERSON_REQUESTS_PER_MINUTE: count.default(6),
  GUILD_CONCURRENT_REQUESTS: count.default(4),
  GUARD_MODEL: z.string().min(1).default("off"),
  GUARD_URL: url.optional(),
  GUARD_FORMAT: z.enum(["qwen3guard", "llamaguard3", "brief"]).default("qwen3guard"),
  GUARD_STREAMS: count.max(64).default(4),
  GUARD_FAILURE: z.enum(["refuse", "lexical"]).default("refuse"),
  GUARD_ALWAYS_BLOCKS: hazards.default(["S4"]),
  BLOCKLIST_FILE: z.string().min(1).optional(),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
});

/** The parsed settings, under the names that people write in `.env`. */
export type Config = z.infer<typeof schema>;

/** The names of all settings, for `.env.example`'s test and for finding misspelt ones. */
export const SETTING_NAMES: readonly string[] = Object.keys(schema.shape);

/**
 * Parses settings; an empty value counts as unset.
 * @param source `process.env` or a test's own record
 * @throws CodedError `config_invalid` naming each setting, what was expected and what came
 */
export function parseConfig(source: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(
    Object.entries(source).filter(([, value]) => value !== undefined && value !== ""),
  );
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    throw new CodedError(describeIssues(parsed.error, given), { code: "config_invalid" });
  }
  const token = parsed.data.DISCORD_TOKEN ?? readToken(parsed.data.DISCORD_TOKEN_FILE);
  return {
    ...parsed.data,
    ...(token === undefined ? {} : { DISCORD_TOKEN: token }),
    DATA_DIR: resolve(parsed.data.DATA_DIR),
  };
}

/** Reads `.env` in the working directory, then the environment, which wins over it. */
export function loadConfig(overrides: Readonly<Record<string, string | undefined>> = {}): Config {
  return parseConfig({ ...readEnvFile(), ...process.env, ...overrides });
}

/**
 * The environment for a child process: this one's, with changes. An empty value unsets a setting even
 * where `.env` has it, since the environment wins over the file.
 */
export function childEnvironment(
  changes: Readonly<Record<string, string>>,
): Record<string, string | undefined> {
  return { ...process.env, ...changes };
}

/** This process's own environment, for what others than people set in it. */
export function ownEnvironment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}

/**
 * Keeps ggml from forking a debugger on itself when it aborts, which can hang for minutes (ggml.c,
 * ggml_print_backtrace). To be called before its libraries are loaded, since one of them asks on loading.
 */
export function forgoNativeBacktraces(): void {
  process.env["GGML_NO_BACKTRACE"] ??= "1";
}

function blocksOf(range: string): number[] {
  const [first = 0, last = first] = range.split("-").map(Number);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}

function readToken(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new CodedError(
      `DISCORD_TOKEN_FILE: could not read ${path}. Give the path of a file that holds only the bot's token.`,
      { code: "config_invalid", cause: error },
    );
  }
}

function describeIssues(error: z.ZodError, given: Record<string, unknown>): string {
  const lines = error.issues.map((issue) => {
    const name = String(issue.path[0] ?? "settings");
    const came = /TOKEN|KEY|DATABASE_URL|REDIS_URL/.test(name)
      ? "a value that is not shown"
      : JSON.stringify(given[name]);
    return `${name}: ${expectedBy(issue)}; got ${came}`;
  });
  return `Settings are not usable. ${lines.join(". ")}. See .env.example for what each one takes.`;
}

function expectedBy(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_type" && issue.expected === "number") return "expected a number";
  if (issue.code === "invalid_value") return `expected one of ${issue.values.join(", ")}`;
  return issue.message;
}
