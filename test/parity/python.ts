/** The Python that the comparison needs, and whether it is there. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** The Python half. */
export const TRL_SCRIPT = join(import.meta.dirname, "trl_dpo.py");

const PACKAGES = ["torch", "trl", "peft", "transformers", "datasets", "gguf", "tokenizers"];

/** Why the comparison cannot run with that Python; undefined when it can. */
export function missingPackages(python: string): string | undefined {
  const script = `import importlib.util as u; print(" ".join(n for n in "${PACKAGES.join(" ")}".split() if u.find_spec(n) is None))`;
  const { error, status, stdout } = spawnSync(python, ["-c", script], { encoding: "utf8" });
  if (error !== undefined || status !== 0) return `${python} does not start`;
  const absent = stdout.trim();
  if (absent === "") return undefined;
  return `${python} lacks ${absent.replaceAll(" ", ", ")}; install them by: ${python} -m pip install ${absent}`;
}
