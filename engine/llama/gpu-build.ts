/**
 * Chooses which build of libllama this process loads: CUDA, Vulkan, Metal or CPU, as node-llama-cpp would.
 * It loads none of them here: two builds cannot share a process, and a bad driver can end one, so a GPU build is
 * first tried in a process of its own.
 */
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CodedError } from "../base/errors.ts";

/** What a person may ask for. */
export type GpuSetting = "auto" | "cuda" | "vulkan" | "metal" | "cpu";
/** What a build computes on. */
type BuildKind = Exclude<GpuSetting, "auto">;

/** The build to load. */
export type BuildChoice = {
  /** For `loadLibraries`. */
  readonly folder: string;
  readonly kind: BuildKind;
  /** A sentence or two for people: what was chosen, and why not something faster. */
  readonly reason: string;
};

/** What trying a build in a process of its own showed: the GPUs that it sees, or why it sees none. */
type BuildProbe = { readonly gpus: readonly string[]; readonly problem?: string };

/** What the choice depends on; the machine's own by default. */
export type BuildSurroundings = {
  /** GPU kinds whose drivers node-llama-cpp finds, best first, without "cpu". */
  readonly supportedKinds: () => Promise<readonly BuildKind[]>;
  /** The folder of a kind's libraries, undefined where its package is not installed. */
  readonly findFolder: (kind: BuildKind) => string | undefined;
  readonly probe: (folder: string) => Promise<BuildProbe>;
  /** Whether the kernel has an NVIDIA driver, whatever else is missing. */
  readonly hasNvidiaDriver: () => boolean;
};

const REMEDIES: Record<BuildKind, string> = {
  cuda: "Install the NVIDIA driver and the CUDA runtime: libcudart.so.13 and libcublas.so.13, or their version 12",
  vulkan: "Install the GPU's Vulkan driver and libvulkan.so.1",
  metal: "Metal needs an Apple silicon Mac",
  cpu: 'Run "npm ci" again, so that the package for this platform is installed',
};
const NAMES: Record<BuildKind, string> = {
  cuda: "CUDA",
  vulkan: "Vulkan",
  metal: "Metal",
  cpu: "CPU",
};
const PROBE_TIMEOUT_MS = 20_000;

/**
 * Chooses a build for the setting GPU.
 * @throws CodedError `library_missing` when the kind that was asked for cannot run here, or no build can
 */
export async function chooseBuild(
  setting: GpuSetting,
  surroundings: BuildSurroundings = thisMachine,
): Promise<BuildChoice> {
  if (setting === "cpu") return cpuBuild(surroundings, "as GPU=cpu asks");
  const kinds = setting === "auto" ? await surroundings.supportedKinds() : [setting];
  const notes: string[] = [];
  for (const kind of kinds) {
    const tried = await tryBuild(kind, setting, surroundings);
    if (typeof tried !== "string") return tried;
    notes.push(tried);
  }
  if (setting !== "auto") {
    throw new CodedError(
      `GPU=${setting} was asked for, but ${notes.join("; ")}. ${REMEDIES[setting]}, or set GPU=auto.`,
      { code: "library_missing" },
    );
  }
  if (!kinds.includes("cuda") && surroundings.hasNvidiaDriver()) {
    notes.push(`an NVIDIA driver is there, but not the CUDA runtime (${REMEDIES.cuda})`);
  }
  return cpuBuild(surroundings, notes.join("; ") || "as no GPU driver was found");
}

/** The build, or why it cannot be used. */
async function tryBuild(
  kind: BuildKind,
  setting: GpuSetting,
  { findFolder, probe }: BuildSurroundings,
): Promise<BuildChoice | string> {
  const folder = findFolder(kind);
  if (folder === undefined) return `no ${NAMES[kind]} build is installed for this platform`;
  const { gpus, problem } = await probe(folder);
  if (gpus.length === 0) {
    return `the ${NAMES[kind]} build sees no GPU (${problem ?? "no reason given"})`;
  }
  const why = setting === "auto" ? "the fastest that runs here" : `as GPU=${setting} asks`;
  return { folder, kind, reason: `${NAMES[kind]} on ${gpus.join(", ")}: ${why}.` };
}

function cpuBuild({ findFolder }: BuildSurroundings, why: string): BuildChoice {
  const folder = findFolder("cpu");
  if (folder !== undefined) return { folder, kind: "cpu", reason: `CPU: ${why}.` };
  throw new CodedError(
    `No native library for ${process.platform} ${process.arch} is installed. ${REMEDIES.cpu}; Linux needs glibc.`,
    { code: "library_missing" },
  );
}

const thisMachine: BuildSurroundings = {
  async supportedKinds() {
    // Imported here: it takes a third of a second, which GPU=cpu need not spend.
    const { getLlamaGpuTypes } = await import("node-llama-cpp");
    const types = await getLlamaGpuTypes("supported");
    return types.filter((type) => type !== false);
  },
  findFolder(kind) {
    for (const name of packageNames(kind)) {
      const folder = packageFolder(name);
      if (folder !== undefined) return folder;
    }
    return undefined;
  },
  async probe(folder) {
    const script = fileURLToPath(new URL("../native/probe-build.ts", import.meta.url));
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [script, folder], {
        timeout: PROBE_TIMEOUT_MS,
      });
      return JSON.parse(stdout);
    } catch (error) {
      // The driver took the process down, or hung: exactly why it was not done in this one.
      return { gpus: [], problem: whyItEnded(error) };
    }
  },
  hasNvidiaDriver: () => existsSync("/proc/driver/nvidia/version"),
};

/** What ggml printed last before it ended the process, or else what is known. */
function whyItEnded(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const printed = "stderr" in error && typeof error.stderr === "string" ? error.stderr : "";
  const said = /^ggml_\w+: (.+?)\.?$/m.exec(printed)?.[1];
  return said === undefined ? error.message : `it ended over this: ${said}`;
}

/** Names of node-llama-cpp's platform packages that hold a build of this kind. */
function packageNames(kind: BuildKind): readonly string[] {
  const systems: Partial<Record<NodeJS.Platform, string>> = { darwin: "mac", win32: "win" };
  const system = systems[process.platform] ?? process.platform;
  const arch = process.arch === "arm" ? "armv7l" : process.arch;
  const plain = `@node-llama-cpp/${system}-${arch}`;
  // Apple silicon has one package, which computes on the CPU as well.
  return kind === "cpu" ? [plain, `${plain}-metal`] : [`${plain}-${kind}`];
}

function packageFolder(name: string): string | undefined {
  try {
    const require = createRequire(import.meta.resolve("node-llama-cpp"));
    const bins = join(dirname(require.resolve(name)), "..", "bins");
    const [build] = readdirSync(bins);
    return build === undefined ? undefined : join(bins, build);
  } catch {
    return undefined;
  }
}
