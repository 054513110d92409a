/**
 * Every error code of the project, and the one class that carries them.
 * An operational failure (a missing file, a taken port) is a `CodedError`; a programmer's error is a
 * plain throw; an expected refusal (rate limit, moderated, gate failed) is a returned value instead.
 */

/** What each code stands for. Codes are stable: scripts and HTTP clients may match on them. */
export const ERROR_CODES = {
  adapter_corrupt: "an adapter's file does not match its manifest or cannot be read",
  adapter_exists: "an adapter of that name is in the registry already",
  adapter_in_use: "an adapter that answers requests cannot be unloaded",
  adapter_incompatible: "an adapter was made for another base model",
  adapter_name_invalid: "an adapter's name is not of the form ^[a-z0-9-]{1,64}$",
  adapter_unknown: "no adapter of that name is in the registry",
  address_in_use: "the port to listen on is taken by another process",
  api_key_invalid: "a request to the engine carries no key or a wrong one",
  backend_refused: "the remote backend does not accept what was asked",
  backend_unreachable: "the remote backend does not answer",
  checkpoint_corrupt: "a checkpoint does not match its hash",
  checkpoint_mismatch: "a checkpoint belongs to a run with other data or options",
  config_invalid: "a setting is missing or malformed",
  data_newer: "the data folder was written by a newer release",
  data_too_small: "there are too few preference pairs to train on",
  database_failed: "the database could not be opened, read or written",
  discord_circuit_open: "Discord refused so many requests that none is sent for a while",
  discord_token_invalid: "Discord does not accept the token",
  discord_token_missing: "no Discord token is set",
  discord_unreachable: "Discord cannot be joined at its address",
  deadline_exceeded: "an answer was not complete within its time",
  disk_full: "the disk that holds the data folder is full",
  engine_stopping: "the engine is shutting down and takes no new requests",
  engine_unreachable: "the engine does not answer at its address",
  erased_meanwhile: "what a training run learns from was erased while it ran",
  gate_refused: "a trained adapter did not pass the gate",
  guard_failed: "the guard model gave no verdict",
  internal_error: "something failed that should not have; the log says what",
  invalid_request: "a request is malformed",
  library_incompatible: "the native library is not the release that the bindings were written for",
  library_missing: "no native library fits this machine",
  model_invalid: "a model file is broken or of an unsupported kind",
  model_missing: "the model file is not there",
  model_unknown: "no model of that name is served",
  native_failed: "a call into the native library failed",
  not_running: "nothing runs on the data folder that could be asked",
  not_writable: "a file or folder cannot be written at the place that was given",
  out_of_memory: "the memory at hand does not hold what was asked for",
  prompt_too_long: "the prompt does not fit the model's context",
  queue_full: "too many requests are waiting",
  store_unreachable: "Redis or Postgres, where conversations and settings are kept, cannot be used",
  training_diverged: "the loss became NaN or infinite",
  training_running: "another training process works in this data folder",
} as const;

/** One of the stable codes above. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** An operational failure: its message says what was expected, what came, and what to do. */
export class CodedError extends Error {
  readonly code: ErrorCode;

  constructor(message: string, options: ErrorOptions & { readonly code: ErrorCode }) {
    super(message, options);
    this.name = "CodedError";
    this.code = options.code;
  }
}

/** Whether `error` is a `CodedError`, of the given code if one is named. */
export function isCoded(error: unknown, code?: ErrorCode): error is CodedError {
  return error instanceof CodedError && (code === undefined || error.code === code);
}

/** The system's error code (`ENOENT`, `EADDRINUSE`, `ENOSPC`…) of a Node.js error, if it has one. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
