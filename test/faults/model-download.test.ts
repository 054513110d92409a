/** A model's download where the disk is full, and where the process is killed on the way. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { downloadFile } from "#engine/llama/model-download.ts";
import { runZephyr } from "../deploy/start/running-zephyr.ts";
import { CAN_MOUNT, mountSmallDisk } from "./small-disk.ts";

const MIB = 1 << 20;
const CONTENT = Buffer.alloc(6 * MIB, "weights ");
const SHA256 = createHash("sha256").update(CONTENT).digest("hex");
const ZEPHYR = join(import.meta.dirname, "../../deploy/zephyr.ts");

/** A hub with one file, by ranges. @param stopAt the first answer hangs after so many bytes */
async function hub({ stopAt }: { stopAt?: number } = {}) {
  const ranges: number[] = [];
  const server = createServer(({ method, headers }, response) => {
    const from = Number(/bytes=(\d+)-/.exec(headers.range ?? "")?.[1] ?? 0);
    const rest = CONTENT.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, {
      "content-length": rest.length,
      "x-linked-etag": `"${SHA256}"`,
      "x-linked-size": String(CONTENT.length),
    });
    if (method === "HEAD") return void response.end();
    ranges.push(from);
    if (ranges.length === 1 && stopAt !== undefined) response.write(rest.subarray(0, stopAt));
    else response.end(rest);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { endpoint: `http://127.0.0.1:${port}`, ranges };
}

it.skipIf(!CAN_MOUNT)(
  "a model that a disk has no room for is not begun, and is fetched once there is",
  async () => {
    using disk = mountSmallDisk(16 * MIB);
    const { endpoint, ranges } = await hub();
    const path = join(disk.folder, "models", "model.gguf");
    const get = () =>
      downloadFile({
        ...{ repo: "user/repo", file: "model.gguf", endpoint, path },
        onProgress: () => {},
        signal: new AbortController().signal,
      });
    disk.fill(2 * MIB);
    await expect(get()).rejects.toMatchObject({
      code: "disk_full",
      message: expect.stringMatching(/^6 MiB are still to be fetched, but .* has [12] MiB free/),
    });
    expect(ranges).toEqual([]);
    disk.free();
    expect(await get()).toMatchObject({ isChecked: true, bytes: CONTENT.length });
    expect(readFileSync(path).equals(CONTENT)).toBe(true);
  },
);

it("zephyr model get goes on where kill -9 ended it, and checks the whole", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "killed-get-"));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const { endpoint, ranges } = await hub({ stopAt: 2 * MIB });
  const settings = { DATA_DIR: dataDir, HF_ENDPOINT: endpoint };
  const command = ["model", "get", "hf:user/repo/model.gguf"];
  const child = spawn(process.execPath, [ZEPHYR, ...command], {
    env: { ...process.env, ...settings },
    stdio: "ignore",
  });
  const path = join(dataDir, "models", "model.gguf");
  const part = `${path}.part`;
  await expect
    .poll(() => (existsSync(part) ? statSync(part).size : 0), { timeout: 30_000 })
    .toBe(2 * MIB);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(existsSync(path)).toBe(false);
  const { code, stdout } = await runZephyr(settings, ...command, "--json");
  expect([code, JSON.parse(stdout.trim().split("\n").at(-1) ?? "")]).toMatchObject([
    0,
    { path, sha256: SHA256, isChecked: true, resumedBytes: 2 * MIB },
  ]);
  expect(ranges).toEqual([0, 2 * MIB]);
  expect(readFileSync(path).equals(CONTENT)).toBe(true);
});
