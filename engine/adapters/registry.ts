/**
 * The adapters on disk, `<DATA_DIR>/adapters/<name>/{adapter.gguf,manifest.json}`, and which one serves.
 * It checks hashes and the gate's verdict before anything parses the weights; it never loads them.
 */
import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { explainWriteError, makeFolder, writeFileAtomic } from "../base/atomic-file.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { CodedError, isCoded, systemCode } from "../base/errors.ts";
import { copyHashed, hashUnlinked, isContained, syncFolder, writeSynced } from "./files.ts";
import { ADAPTER_NAME, type AdapterManifest, adapterManifestSchema } from "./manifest.ts";
import { advance, type Canary, formatPointer, type Pointer, readPointer } from "./pointer.ts";

const WEIGHTS = "adapter.gguf";
const MANIFEST = "manifest.json";
/** `current` is the pointer's file; `base` names the bare weights in requests. */
const RESERVED = ["base", "current"];
/** Larger manifests are refused unread: a gate's report is some kilobytes. */
const MANIFEST_LIMIT_BYTES = 4 << 20;
const PUBLISHING = ".publishing-";
const QUARANTINE = ".quarantine";
/** A publish that has not ended after this long was killed; its remains are removed. */
const ABANDONED_AFTER_MS = 3_600_000;

/** An adapter whose file was found to be what its manifest says. */
export type VerifiedAdapter = {
  readonly name: string;
  readonly path: string;
  readonly manifest: AdapterManifest;
};

/** One entry of the registry; a folder that is no sound adapter has a `problem` in place of a manifest. */
export type AdapterListing =
  | { readonly name: string; readonly manifest: AdapterManifest }
  | { readonly name: string; readonly problem: string };

/** What the trainer hands over: everything but what the registry itself establishes. */
export type Publication = {
  readonly name: string;
  /** A GGUF LoRA; it is copied, never moved. */
  readonly adapterPath: string;
  readonly manifest: Omit<AdapterManifest, "name" | "sha256" | "createdAt">;
};

/** Opens the registry in `dataDir`, creating its folder. @throws CodedError `disk_full`, `not_writable` */
export function openRegistry(dataDir: string, clock: Clock = systemClock): AdapterRegistry {
  const root = join(dataDir, "adapters");
  makeFolder(root);
  return new AdapterRegistry(root, clock);
}

/** The adapters of one data folder. One process at a time should move the pointer: the engine, when it runs. */
export class AdapterRegistry {
  readonly #root: string;
  readonly #pointerPath: string;
  readonly #clock: Clock;

  constructor(root: string, clock: Clock) {
    this.#root = root;
    this.#pointerPath = join(root, "current");
    this.#clock = clock;
  }

  /** Every adapter folder by time of creation, unsound ones with what is wrong with them, last. */
  list(): AdapterListing[] {
    const names = readdirSync(this.#root).filter(
      (name) => ADAPTER_NAME.test(name) && !RESERVED.includes(name),
    );
    const createdAt = (entry: AdapterListing) =>
      "manifest" in entry ? entry.manifest.createdAt : "~";
    return names
      .map((name) => this.#listing(name))
      .sort((a, b) => createdAt(a).localeCompare(createdAt(b)) || a.name.localeCompare(b.name));
  }

  /** The serving adapter's name; null for the bare weights. */
  current(): string | null {
    return this.pointer().current;
  }

  /** What serves and what served before. */
  pointer(): Pointer {
    return readPointer(this.#pointerPath);
  }

  /**
   * Copies an adapter into the registry: written to a hidden folder, synced, then renamed, so it is
   * there wholly or not at all. It does not serve until `activate`.
   * @throws CodedError `adapter_name_invalid`, `adapter_exists`, `disk_full`
   */
  async publish(publication: Publication): Promise<AdapterManifest> {
    assertName(publication.name);
    const folder = join(this.#root, publication.name);
    if (existsSync(folder)) throw alreadyThere(publication.name);
    this.#removeAbandoned();
    const staging = join(
      this.#root,
      `${PUBLISHING}${publication.name}-${randomBytes(6).toString("hex")}`,
    );
    try {
      const manifest = await this.#stage(staging, publication);
      renameSync(staging, folder);
      await syncFolder(this.#root);
      return manifest;
    } catch (error) {
      rmSync(staging, { recursive: true, force: true });
      if (["ENOTEMPTY", "EEXIST"].includes(systemCode(error) ?? "")) {
        throw alreadyThere(publication.name);
      }
      throw explainWriteError(error, folder);
    }
  }

  /**
   * Checks an adapter by its hash, before anything parses it.
   * @param baseSha256 the hash of the model that it is to serve on; omitted, any base will do
   * @throws CodedError `adapter_name_invalid`, `adapter_unknown`, `adapter_corrupt`, `adapter_incompatible`
   */
  async verify(name: string, baseSha256?: string): Promise<VerifiedAdapter> {
    const manifest = this.#readManifest(name);
    const path = join(this.#root, name, WEIGHTS);
    const found = await hashWeights(name, path);
    if (found !== manifest.sha256) {
      throw corrupt(name, `${WEIGHTS} has sha256 ${found}, its manifest says ${manifest.sha256}`);
    }
    if (baseSha256 !== undefined && manifest.baseSha256 !== baseSha256) {
      throw new CodedError(
        `Adapter ${name} was trained on a base model with sha256 ${manifest.baseSha256.slice(0, 12)}…, this one has ${baseSha256.slice(0, 12)}…. Serve that model (MODEL), or train an adapter on this one.`,
        { code: "adapter_incompatible" },
      );
    }
    return { name, path, manifest };
  }

  /**
   * Points to `name` (null: the bare weights) once its file is verified and its gate was passed.
   * @throws CodedError as `verify`, and `gate_refused`, `disk_full`; the old pointer then stands
   */
  async activate(name: string | null): Promise<Pointer> {
    if (name !== null) {
      const { manifest } = await this.verify(name);
      assertGatePassed(manifest);
    }
    return this.#write(advance(this.pointer(), name));
  }

  /**
   * Notes which adapter answers a share of the guilds; null: none does.
   * @throws CodedError as `verify`, and `gate_refused`, `disk_full`; the old pointer then stands
   */
  async setCanary(canary: Canary | null): Promise<Pointer> {
    const { current, history } = this.pointer();
    if (canary === null) return this.#write({ current, history });
    const { manifest } = await this.verify(canary.name);
    assertGatePassed(manifest);
    return this.#write({ current, history, canary });
  }

  /**
   * Points to what served before; adapters that are gone or damaged are passed over.
   * @throws CodedError `adapter_unknown` when nothing served before
   */
  async rollback(): Promise<Pointer> {
    const { current, history } = this.pointer();
    for (let index = history.length - 1; index >= 0; index--) {
      const name = history[index] ?? null;
      if (name === current || !(await this.#isUsable(name))) continue;
      return this.#write({ current: name, history: history.slice(0, index) });
    }
    if (current !== null) return this.#write({ current: null, history: [] });
    throw new CodedError(
      "Nothing to roll back to: the bare weights serve and no adapter served before them.",
      { code: "adapter_unknown" },
    );
  }

  /**
   * Takes an adapter out of the registry, keeping its files for a person to look at; a pointer to it
   * is left for the caller to move.
   * @returns the folder that it was moved to
   */
  quarantine(name: string): string {
    assertName(name);
    const target = join(this.#root, QUARANTINE, `${name}-${this.#clock.nowMs()}`);
    mkdirSync(join(this.#root, QUARANTINE), { recursive: true });
    renameSync(join(this.#root, name), target);
    return target;
  }

  #write(pointer: Pointer): Pointer {
    writeFileAtomic(this.#pointerPath, formatPointer(pointer));
    return pointer;
  }

  async #isUsable(name: string | null): Promise<boolean> {
    if (name === null) return true;
    try {
      const { manifest } = await this.verify(name);
      return manifest.gate.passed;
    } catch (error) {
      if (error instanceof CodedError) return false;
      throw error;
    }
  }

  #listing(name: string): AdapterListing {
    try {
      return { name, manifest: this.#readManifest(name) };
    } catch (error) {
      if (isCoded(error)) return { name, problem: error.message };
      throw error;
    }
  }

  async #stage(staging: string, publication: Publication): Promise<AdapterManifest> {
    mkdirSync(staging, { mode: 0o700 });
    const sha256 = await copyHashed(publication.adapterPath, join(staging, WEIGHTS));
    const manifest = adapterManifestSchema.parse({
      ...publication.manifest,
      name: publication.name,
      sha256,
      createdAt: new Date(this.#clock.nowMs()).toISOString(),
    });
    await writeSynced(join(staging, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
    await syncFolder(staging);
    return manifest;
  }

  #removeAbandoned(): void {
    const before = this.#clock.nowMs() - ABANDONED_AFTER_MS;
    for (const entry of readdirSync(this.#root)) {
      if (!entry.startsWith(PUBLISHING)) continue;
      const path = join(this.#root, entry);
      if (statSync(path).mtimeMs < before) rmSync(path, { recursive: true, force: true });
    }
  }

  #readManifest(name: string): AdapterManifest {
    assertName(name);
    const path = join(this.#root, name, MANIFEST);
    if (!existsSync(join(this.#root, name))) throw this.#unknown(name);
    try {
      if (!isContained(this.#root, name, MANIFEST) || !isContained(this.#root, name, WEIGHTS)) {
        throw corrupt(name, "its folder and files must be real ones, not links");
      }
      if (statSync(path).size > MANIFEST_LIMIT_BYTES) throw corrupt(name, "its manifest is huge");
      const manifest = adapterManifestSchema.parse(JSON.parse(readFileSync(path, "utf8")));
      if (manifest.name === name) return manifest;
      throw corrupt(name, `its manifest is that of ${manifest.name}`);
    } catch (error) {
      if (error instanceof CodedError) throw error;
      throw corrupt(name, "its manifest or weights are missing or malformed", error);
    }
  }

  #unknown(name: string): CodedError {
    const known = this.list().map((entry) => entry.name);
    const list = known.length === 0 ? "The registry is empty" : `There are: ${known.join(", ")}`;
    return new CodedError(`No adapter is named ${name}. ${list}.`, { code: "adapter_unknown" });
  }
}

/**
 * Throws unless the gate admitted the adapter: nothing else may serve.
 * @throws CodedError `gate_refused`
 */
export function assertGatePassed(manifest: AdapterManifest): void {
  if (manifest.gate.passed) return;
  const { name } = manifest;
  const wasJudged = !isImported(manifest);
  const why = wasJudged
    ? `Adapter ${name} did not pass its gate, so it may not serve. Its manifest.json says why.`
    : `Adapter ${name} was imported and no gate has judged it, so it may not serve yet. npx zephyr adapters judge ${name} lets the gate decide.`;
  throw new CodedError(why, { code: "gate_refused" });
}

/** What an import leaves in place of a gate's report. */
export const IMPORTED_REPORT = { imported: true } as const;

function isImported({ gate: { report } }: AdapterManifest): boolean {
  return typeof report === "object" && report !== null && "imported" in report;
}

function assertName(name: string): void {
  if (ADAPTER_NAME.test(name) && !RESERVED.includes(name)) return;
  throw new CodedError(
    `An adapter's name has 1 to 64 of a–z, 0–9 and "-", and is not one of ${RESERVED.join(", ")}; got ${JSON.stringify(name.slice(0, 80))}.`,
    { code: "adapter_name_invalid" },
  );
}

async function hashWeights(name: string, path: string): Promise<string> {
  try {
    return await hashUnlinked(path);
  } catch (error) {
    throw corrupt(name, `${WEIGHTS} cannot be read`, error);
  }
}

function alreadyThere(name: string): CodedError {
  return new CodedError(
    `An adapter named ${name} is in the registry already, and adapters are never overwritten. Choose another name.`,
    { code: "adapter_exists" },
  );
}

function corrupt(name: string, what: string, cause?: unknown): CodedError {
  return new CodedError(
    `Adapter ${name} is damaged: ${what}. Roll back to another, or train it again.`,
    { code: "adapter_corrupt", cause },
  );
}
