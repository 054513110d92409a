/**
 * `zephyr backup` and `zephyr restore`: a consistent copy of the data folder while everything runs, and back.
 * Databases are copied by SQLite itself (VACUUM INTO), which reads one state of each and leaves out what was
 * deleted. A copy that holds people's keys outlives `/mydata forget`, so old copies are removed by age.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { explainWriteError, makeFolder, writeFileAtomic } from "#engine/base/atomic-file.ts";
import { systemClock } from "#engine/base/clock.ts";
import type { Config } from "#engine/base/config.ts";
import { explainDatabaseError } from "#engine/base/database.ts";
import { CodedError, isCoded } from "#engine/base/errors.ts";
import { takeLock } from "#engine/base/exclusive-lock.ts";
import type { CommandResult } from "./adapters.ts";

/** What belongs to what runs now, or can be made again. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  ...["supervisor.lock", "supervisor.lock.holder", "running.json", "gateway.db", "models"],
]);
/** Of a run only this: without it nobody would know which adapters learned from somebody who wants to be forgotten. */
const KEPT_OF_RUNS = /^runs\/[^/]+\/evidence\.jsonl$/;
/** What opens people's words: with these in it a copy must not outlive a person's wish to be forgotten. */
const KEY_FILES: ReadonlySet<string> = new Set(["keys.db", "master.key"]);
const MANIFEST = "backup.json";
const PREFIX = "zephyr-";
const DAY_MS = 24 * 60 * 60 * 1_000;

const manifestSchema = z.object({
  madeAtMs: z.number(),
  hasKeys: z.boolean(),
  files: z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/)),
});

/** What a backup's own file says of it: the time, whether people's keys are in it, each file's SHA-256. */
export type BackupManifest = z.infer<typeof manifestSchema>;

/** `backup <folder>` */
export function backup(
  config: Config,
  into: string,
  { keys, keepDays }: { readonly keys: boolean; readonly keepDays?: string },
): CommandResult {
  const days = keepDays === undefined ? undefined : Number(keepDays);
  if (days !== undefined && !(days > 0)) {
    throw invalid(`--keep-days: expected a number of days above 0, got ${keepDays}.`);
  }
  const options = { withKeys: keys, keepDays: days };
  const made = makeBackup(config, into, options, systemClock.nowMs());
  const { folder, manifest, removed, unreadable } = made;
  const count = Object.keys(manifest.files).length;
  const result = { folder, files: count, hasKeys: keys, removed, unreadable };
  const left = unreadable.map((each) => `Not removed, as its age cannot be read: ${each}\n`);
  return {
    result,
    text: `${count} files in ${folder}\n${left.join("")}${warningOf(keys, days)}${elsewhere(config)}`,
  };
}

/** `restore <backup>` */
export function restore(config: Config, from: string): CommandResult {
  const { manifest, formerFolder } = restoreBackup(config, from, systemClock.nowMs());
  const madeAt = new Date(manifest.madeAtMs).toISOString();
  const former = formerFolder === undefined ? "" : `The former one is ${formerFolder}.\n`;
  return {
    result: { dataDir: config.DATA_DIR, madeAt, formerFolder: formerFolder ?? null },
    text: `${config.DATA_DIR} is as it was at ${madeAt}.\n${former}People who were forgotten since are in it again where it holds their keys: forget them again.`,
  };
}

function warningOf(hasKeys: boolean, keepDays: number | undefined): string {
  if (!hasKeys) {
    return "It holds no keys: keep keys.db and master.key elsewhere, or nothing in it can be read.\n";
  }
  return keepDays === undefined
    ? "It holds people's keys: /mydata forget does not reach it. Remove old backups, by --keep-days or by hand.\n"
    : `It holds people's keys: who is forgotten stays in it until it is removed, after ${keepDays} days.\n`;
}

function elsewhere({ DATABASE_URL: database, REDIS_URL: redis }: Config): string {
  return database === undefined && redis === undefined
    ? ""
    : "Conversations and settings lie on the server of DATABASE_URL or REDIS_URL: back that up by its own means.\n";
}

/** A backup that was made. */
export type MadeBackup = {
  readonly folder: string;
  readonly manifest: BackupManifest;
  /** Folders of older backups that were removed. */
  readonly removed: readonly string[];
  /** Folders of backups whose manifest is damaged: to be looked at by a person. */
  readonly unreadable: readonly string[];
};

/**
 * Copies the data folder into a new folder below `into`. The bot, the engine and the trainer may run.
 * @param options.withKeys false leaves out what opens people's words; such a copy is of use only beside its keys
 * @param options.keepDays backups in `into` that are older are removed; undefined: none
 * @throws CodedError `config_invalid`, `database_failed`, `disk_full`
 */
export function makeBackup(
  config: Pick<Config, "DATA_DIR">,
  into: string,
  options: { readonly withKeys: boolean; readonly keepDays?: number | undefined },
  nowMs: number,
): MadeBackup {
  const dataDir = config.DATA_DIR;
  if (!existsSync(dataDir)) throw invalid(`There is no data folder at ${dataDir}. Set DATA_DIR.`);
  if (isInside(resolve(into), dataDir)) {
    throw invalid(`${into} lies in the data folder itself. Name a folder on another disk.`);
  }
  const name = `${PREFIX}${new Date(nowMs).toISOString().replaceAll(/[:.]/g, "-")}`;
  const folder = join(resolve(into), name);
  const draft = `${folder}.${randomBytes(4).toString("hex")}.part`;
  makeFolder(draft, 0o700);
  try {
    const files = Object.fromEntries(copyAll(dataDir, draft, options.withKeys));
    const manifest = { madeAtMs: nowMs, hasKeys: options.withKeys, files };
    writeFileAtomic(join(draft, MANIFEST), `${JSON.stringify(manifest, undefined, 2)}\n`);
    renameSync(draft, folder);
    return { folder, manifest, ...removeOld(resolve(into), options.keepDays, nowMs) };
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    throw explainWriteError(error, folder);
  }
}

/**
 * Puts a backup in the place of the data folder, which is kept beside it under another name.
 * @returns where the former data folder is now; undefined where there was none
 * @throws CodedError `config_invalid` when the backup is damaged or incomplete, `address_in_use` while zephyr runs
 */
export function restoreBackup(
  config: Pick<Config, "DATA_DIR">,
  from: string,
  nowMs: number,
): { readonly manifest: BackupManifest; readonly formerFolder: string | undefined } {
  const manifest = readManifest(from);
  for (const [file, sha256] of Object.entries(manifest.files)) {
    const path = join(from, file);
    if (!isInside(path, resolve(from))) throw invalid(`${file} would lie outside of the backup.`);
    if (!existsSync(path) || hashOf(path) !== sha256) {
      throw invalid(`${file} in ${from} is missing or damaged: take another backup.`);
    }
  }
  const dataDir = config.DATA_DIR;
  const draft = `${dataDir}.restoring`;
  rmSync(draft, { recursive: true, force: true });
  makeFolder(draft, 0o700);
  for (const file of Object.keys(manifest.files)) {
    cpSync(join(from, file), join(draft, file), { preserveTimestamps: true });
  }
  if (!existsSync(dataDir)) {
    renameSync(draft, dataDir);
    return { manifest, formerFolder: undefined };
  }
  const lock = takeLock(join(dataDir, "supervisor.lock"));
  if (!lock.held) {
    rmSync(draft, { recursive: true, force: true });
    throw new CodedError(
      `zephyr (process ${lock.holder}) runs on ${dataDir}. Stop it before restoring.`,
      { code: "address_in_use" },
    );
  }
  using _ = lock;
  if (!manifest.hasKeys) keepKeys(dataDir, draft);
  const formerFolder = `${dataDir}.before-restore-${nowMs}`;
  renameSync(dataDir, formerFolder);
  renameSync(draft, dataDir);
  // Downloaded models are in no backup, and are not to be fetched again.
  const models = join(formerFolder, "models");
  if (existsSync(models)) renameSync(models, join(dataDir, "models"));
  return { manifest, formerFolder };
}

/** A backup without keys is opened by those that are there. */
function keepKeys(dataDir: string, draft: string): void {
  for (const name of KEY_FILES) {
    const path = join(dataDir, name);
    if (!existsSync(path)) continue;
    if (name.endsWith(".db")) copyDatabase(path, join(draft, name));
    else cpSync(path, join(draft, name), { preserveTimestamps: true });
  }
}

/** @yields each file's path from the folder, and its hash */
function* copyAll(dataDir: string, to: string, withKeys: boolean): Generator<[string, string]> {
  const entries = readdirSync(dataDir, { withFileTypes: true, recursive: true });
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const file = relative(dataDir, path);
    if (!entry.isFile() || !isCopied(file.split(sep).join("/"))) continue;
    if (!withKeys && KEY_FILES.has(file)) continue;
    const copy = join(to, file);
    makeFolder(dirname(copy), 0o700);
    if (isDatabase(path)) copyDatabase(path, copy);
    else cpSync(path, copy, { preserveTimestamps: true });
    chmodSync(copy, 0o600);
    yield [file.split(sep).join("/"), hashOf(copy)];
  }
}

/** @param file its path from the data folder, with slashes */
function isCopied(file: string): boolean {
  const [top = ""] = file.split("/");
  if (top === "runs") return KEPT_OF_RUNS.test(file);
  return !LEFT_OUT.has(top) && !/-wal$|-shm$|\.tmp$/.test(file);
}

/** One state of it, whoever writes meanwhile. */
function copyDatabase(path: string, copy: string): void {
  try {
    using database = new DatabaseSync(path, { timeout: 30_000 });
    database.prepare("VACUUM INTO ?").run(copy);
  } catch (error) {
    throw explainDatabaseError(error, path);
  }
}

/** https://www.sqlite.org/fileformat.html#the_database_header */
function isDatabase(path: string): boolean {
  return /\.(db|sqlite)$/.test(path) && statSync(path).size > 0;
}

/** One damaged manifest must not keep the others, with people's keys, from being removed. */
function removeOld(
  into: string,
  keepDays: number | undefined,
  nowMs: number,
): Pick<MadeBackup, "removed" | "unreadable"> {
  const removed: string[] = [];
  const unreadable: string[] = [];
  if (keepDays === undefined) return { removed, unreadable };
  for (const name of readdirSync(into)) {
    const folder = join(into, name);
    if (!name.startsWith(PREFIX) || !existsSync(join(folder, MANIFEST))) continue;
    const madeAtMs = madeAt(folder);
    if (madeAtMs === undefined) unreadable.push(folder);
    else if (nowMs - madeAtMs > keepDays * DAY_MS) {
      rmSync(folder, { recursive: true });
      removed.push(folder);
    }
  }
  return { removed, unreadable };
}

/** When the backup was made; undefined where its manifest does not say. */
function madeAt(folder: string): number | undefined {
  try {
    return readManifest(folder).madeAtMs;
  } catch (error) {
    if (isCoded(error, "config_invalid")) return undefined;
    throw error;
  }
}

function readManifest(folder: string): BackupManifest {
  try {
    return manifestSchema.parse(JSON.parse(readFileSync(join(folder, MANIFEST), "utf8")));
  } catch (error) {
    throw new CodedError(
      `${folder} is no backup: ${MANIFEST} is missing or damaged. Name a folder that zephyr backup made (${PREFIX}…), not ${basename(folder)}.`,
      { code: "config_invalid", cause: error },
    );
  }
}

function hashOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === "" || (!way.startsWith("..") && resolve(folder, way) === resolve(path));
}

function invalid(message: string): CodedError {
  return new CodedError(message, { code: "config_invalid" });
}
