/**
 * Fetches one model file from Hugging Face or a server with its interface: resumes what was begun, checks
 * the whole against the hash that the server announces, and only then gives it its name.
 * It does not choose which file.
 */
import { createWriteStream, existsSync, renameSync, rmSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { explainWriteError, makeFolder } from "../base/atomic-file.ts";
import { CodedError } from "../base/errors.ts";
import { hashFile } from "../base/file-hash.ts";

/** Which file, where it is and where it goes. */
export type ModelDownload = {
  /** `<user>/<repo>`. */
  readonly repo: string;
  readonly file: string;
  /** https://huggingface.co, or a mirror. */
  readonly endpoint: string;
  readonly path: string;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
  readonly signal: AbortSignal;
};

/** What came of it. */
export type DownloadedModel = {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** False where the server announced no hash to check against. */
  readonly isChecked: boolean;
  /** Bytes that were there from before. */
  readonly resumedBytes: number;
};

type Announced = { readonly url: string; readonly bytes: number; readonly sha256?: string };

const MOST_REDIRECTS = 5;
/** Where Hugging Face keeps its files. */
const STORAGE = /(^|\.)(huggingface\.co|hf\.co)$/;

/**
 * Downloads the file, or finds it whole.
 * @throws CodedError `model_missing` when it cannot be had, offline included; `model_invalid` when its hash is
 *   wrong; `disk_full`
 */
export async function downloadFile(wanted: ModelDownload): Promise<DownloadedModel> {
  const announced = await announce(wanted);
  const { path } = wanted;
  if (existsSync(path)) {
    const sha256 = await hashFile(path);
    if (announced.sha256 === undefined || announced.sha256 === sha256) {
      const bytes = statSync(path).size;
      return {
        path,
        bytes,
        sha256,
        isChecked: announced.sha256 !== undefined,
        resumedBytes: bytes,
      };
    }
  }
  const part = `${path}.part`;
  makeFolder(dirname(path));
  const resumedBytes = await fetchInto(part, announced, wanted);
  const sha256 = await hashFile(part);
  if (announced.sha256 !== undefined && announced.sha256 !== sha256) {
    rmSync(part);
    throw new CodedError(
      `${wanted.file} should have the sha256 ${announced.sha256}; what came has ${sha256}. It was deleted. Try again; if that does not help, the server or the way to it is at fault.`,
      { code: "model_invalid" },
    );
  }
  renameSync(part, path);
  const { size } = statSync(path);
  return { path, bytes: size, sha256, isChecked: announced.sha256 !== undefined, resumedBytes };
}

/** Asks where the file is, how long it is and what its hash is; files in LFS say so before they redirect. */
async function announce(wanted: ModelDownload): Promise<Announced> {
  let url = `${wanted.endpoint.replace(/\/+$/, "")}/${wanted.repo}/resolve/main/${wanted.file}`;
  let [sha256, bytes] = ["", ""];
  for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
    const response = await send(wanted, url, { method: "HEAD" });
    sha256 ||= hashIn(response.headers.get("x-linked-etag")) ?? "";
    bytes ||= response.headers.get("x-linked-size") ?? "";
    const location = response.headers.get("location");
    if (response.status >= 300 && response.status < 400 && location !== null) {
      url = allowed(new URL(location, url), wanted.endpoint);
      continue;
    }
    if (!response.ok) throw refused(wanted, response.status);
    bytes ||= response.headers.get("content-length") ?? "0";
    sha256 ||= hashIn(response.headers.get("etag")) ?? "";
    return { url, bytes: Number(bytes), ...(sha256 === "" ? {} : { sha256 }) };
  }
  throw new CodedError(`${wanted.endpoint} redirects without end for ${wanted.file}.`, {
    code: "model_missing",
  });
}

/** Appends what is missing of the file. @returns bytes that were there from before */
async function fetchInto(part: string, { url, bytes }: Announced, wanted: ModelDownload) {
  const there = existsSync(part) ? statSync(part).size : 0;
  // More than the whole is no beginning of it.
  const from = there <= bytes ? there : 0;
  if (from === bytes && bytes > 0) return from;
  assertRoom(part, bytes - from);
  const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
  const response = await send(wanted, url, { headers });
  if (!response.ok || response.body === null) throw refused(wanted, response.status);
  const isResumed = response.status === 206;
  let done = isResumed ? from : 0;
  const counted = async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      done += chunk.length;
      wanted.onProgress(done, bytes);
      yield chunk;
    }
  };
  try {
    const target = createWriteStream(part, { flags: isResumed ? "a" : "w", flush: true });
    await pipeline(counted(response.body), target, { signal: wanted.signal });
  } catch (error) {
    wanted.signal.throwIfAborted();
    const explained = explainWriteError(error, part);
    throw explained instanceof CodedError ? explained : unreachable(wanted, error);
  }
  if (bytes > 0 && done !== bytes) {
    throw unreachable(wanted, new Error(`it ended after ${done} of ${bytes} bytes`));
  }
  return isResumed ? from : 0;
}

/** Told before gigabytes were fetched for nothing. */
function assertRoom(part: string, missingBytes: number): void {
  const folder = dirname(part);
  const { bavail, bsize } = statfsSync(folder);
  const freeBytes = bavail * bsize;
  if (missingBytes <= freeBytes) return;
  const mib = (count: number) => `${Math.ceil(count / 2 ** 20).toLocaleString("en")} MiB`;
  throw new CodedError(
    `${mib(missingBytes)} are still to be fetched, but ${folder} has ${mib(freeBytes)} free. Make room, or set DATA_DIR to a larger disk; then run this again: it goes on where it stopped.`,
    { code: "disk_full" },
  );
}

async function send(wanted: ModelDownload, url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, redirect: "manual", signal: wanted.signal });
  } catch (error) {
    wanted.signal.throwIfAborted();
    throw unreachable(wanted, error);
  }
}

/** A redirect may lead to the endpoint itself or to Hugging Face's storage, never down from https. */
function allowed(url: URL, endpoint: string): string {
  const from = new URL(endpoint);
  const isKnown = url.host === from.host || STORAGE.test(url.hostname);
  if (isKnown && (url.protocol === "https:" || url.protocol === from.protocol)) return url.href;
  throw new CodedError(
    `${endpoint} redirects to ${url.host}, which is neither itself nor Hugging Face's storage. Nothing was downloaded.`,
    { code: "model_missing" },
  );
}

function hashIn(etag: string | null): string | undefined {
  return /^(?:W\/)?"?([0-9a-f]{64})"?$/i.exec(etag ?? "")?.[1]?.toLowerCase();
}

function refused({ repo, file, endpoint }: ModelDownload, status: number): CodedError {
  const why = status === 404 ? "there is no such file" : `it answered ${status}`;
  return new CodedError(`Could not get ${file} of ${repo} from ${endpoint}: ${why}.`, {
    code: "model_missing",
  });
}

function unreachable({ endpoint, path }: ModelDownload, cause: unknown): CodedError {
  const reason =
    cause instanceof Error ? (innermost(cause).message ?? cause.message) : String(cause);
  return new CodedError(
    `${endpoint} cannot be reached (${reason}). This machine may be offline. Run this again with a network: it goes on where it stopped. Or copy the file to ${path} by hand.`,
    { code: "model_missing", cause },
  );
}

function innermost(error: Error): Error {
  return error.cause instanceof Error ? innermost(error.cause) : error;
}
