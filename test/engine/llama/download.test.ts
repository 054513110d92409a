/** Downloads by the real resolver, from a server on this machine that speaks Hugging Face's paths. */

import { mkdtempSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { downloadModel } from "#engine/llama/download.ts";

const CONTENT = Buffer.alloc(300_000, "gguf");

/** Serves one file under any repository; the rest is not found. */
async function hub() {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const isFile = request.url?.startsWith("/user/zephyr/resolve/main/small.gguf") === true;
    if (!isFile) return response.writeHead(404).end();
    const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? "");
    const from = Number(range?.[1] ?? 0);
    const to = range?.[2] ? Number(range[2]) + 1 : CONTENT.length;
    response.writeHead(range === null ? 200 : 206, {
      "content-length": to - from,
      "accept-ranges": "bytes",
      ...(range === null ? {} : { "content-range": `bytes ${from}-${to - 1}/${CONTENT.length}` }),
    });
    return response.end(request.method === "HEAD" ? undefined : CONTENT.subarray(from, to));
  }).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}/`, asked };
}

describe("downloadModel", () => {
  it("fetches the file once, tells its progress, and finds it again without the network", async () => {
    const folder = mkdtempSync(join(tmpdir(), "download-"));
    const { url, asked } = await hub();
    const seen: number[] = [];
    const options = {
      folder,
      huggingFaceUrl: url,
      onProgress: ({
        downloadedBytes,
        totalBytes,
      }: {
        downloadedBytes: number;
        totalBytes: number;
      }) => seen.push(downloadedBytes / totalBytes),
    };
    const path = await downloadModel("hf:user/zephyr/small.gguf", options);
    expect(readFileSync(path).equals(CONTENT)).toBe(true);
    expect(seen.at(-1)).toBe(1);
    const requests = asked.length;
    expect(await downloadModel("hf:user/zephyr/small.gguf", options)).toBe(path);
    expect(asked).toHaveLength(requests);
  });

  it("says what cannot be had, and what to do", async () => {
    const folder = mkdtempSync(join(tmpdir(), "download-"));
    const { url } = await hub();
    const options = { folder, huggingFaceUrl: url, onProgress: () => {} };
    await expect(downloadModel("hf:user/missing/x.gguf", options)).rejects.toMatchObject({
      code: "model_missing",
      message: expect.stringMatching(/could not get hf:user\/missing\/x\.gguf.*network/s),
    });
  });
});
