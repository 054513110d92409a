/** Downloads from a server on loopback with Hugging Face's interface. */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { isCoded } from "#engine/base/errors.ts";
import { downloadFile, type ModelDownload } from "#engine/llama/model-download.ts";

const CONTENT = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 31) % 251));
const SHA256 = createHash("sha256").update(CONTENT).digest("hex");
const FILE = "model.Q8_0.gguf";

type Quirks = {
  /** Cuts the first answer off after this many bytes. */
  readonly cutAt?: number;
  readonly sha256?: string | null;
  readonly redirectTo?: string;
  readonly ignoresRange?: boolean;
};

async function hub(quirks: Quirks = {}) {
  const requests: { method: string; path: string; range: string | undefined }[] = [];
  let cuts = quirks.cutAt === undefined ? 0 : 1;
  const pointTo = (response: ServerResponse) => {
    const hash = quirks.sha256 === undefined ? SHA256 : quirks.sha256;
    response.writeHead(302, {
      location: quirks.redirectTo ?? "/storage/blob",
      ...(hash === null ? {} : { "x-linked-etag": `"${hash}"` }),
      "x-linked-size": String(CONTENT.length),
    });
    response.end();
  };
  const give = ({ method, headers }: IncomingMessage, response: ServerResponse) => {
    const asked = Number(/bytes=(\d+)-/.exec(headers.range ?? "")?.[1] ?? 0);
    const rest = CONTENT.subarray(quirks.ignoresRange ? 0 : asked);
    const status = rest.length < CONTENT.length ? 206 : 200;
    response.writeHead(status, { "content-length": rest.length });
    if (method === "HEAD") response.end();
    else if (cuts-- > 0) response.write(rest.subarray(0, quirks.cutAt), () => response.destroy());
    else response.end(rest);
  };
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    const { method = "", url = "", headers } = request;
    requests.push({ method, path: url, range: headers.range });
    if (url === `/user/repo/resolve/main/${FILE}`) pointTo(response);
    else if (url === "/storage/blob") give(request, response);
    else response.writeHead(404).end();
  };
  const server = createServer(serve);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { endpoint: `http://127.0.0.1:${port}`, requests };
}

function wanted(endpoint: string, more: Partial<ModelDownload> = {}): ModelDownload {
  return {
    repo: "user/repo",
    file: FILE,
    endpoint,
    path: join(mkdtempSync(join(tmpdir(), "download-")), "models", FILE),
    onProgress: () => {},
    signal: new AbortController().signal,
    ...more,
  };
}

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

describe("a model's download", () => {
  it("follows to the storage, tells how far it is, and checks the announced hash", async () => {
    const { endpoint } = await hub();
    const told: [number, number][] = [];
    const asked = wanted(endpoint, { onProgress: (done, total) => told.push([done, total]) });
    const got = await downloadFile(asked);
    expect(got).toEqual({
      path: asked.path,
      bytes: CONTENT.length,
      sha256: SHA256,
      isChecked: true,
      resumedBytes: 0,
    });
    expect(readFileSync(asked.path).equals(CONTENT)).toBe(true);
    expect(told.at(-1)).toEqual([CONTENT.length, CONTENT.length]);
  });

  it("goes on where it was cut off, and fetches nothing twice", async () => {
    const { endpoint, requests } = await hub({ cutAt: 90_000 });
    const asked = wanted(endpoint);
    const error = await failureOf(downloadFile(asked));
    expect(isCoded(error, "model_missing")).toBe(true);
    expect(existsSync(asked.path)).toBe(false);
    const got = await downloadFile(asked);
    expect(got.resumedBytes).toBeGreaterThan(0);
    expect(requests.at(-1)?.range).toBe(`bytes=${got.resumedBytes}-`);
    expect(readFileSync(asked.path).equals(CONTENT)).toBe(true);
    expect(existsSync(`${asked.path}.part`)).toBe(false);
  });

  it("begins anew where the server cannot resume", async () => {
    const { endpoint } = await hub({ cutAt: 90_000, ignoresRange: true });
    const asked = wanted(endpoint);
    await failureOf(downloadFile(asked));
    expect(await downloadFile(asked)).toMatchObject({ sha256: SHA256, resumedBytes: 0 });
  });

  it("does not fetch again what is there and sound, and replaces what is not", async () => {
    const { endpoint, requests } = await hub();
    const asked = wanted(endpoint);
    await downloadFile(asked);
    const before = requests.filter(({ method }) => method === "GET").length;
    expect((await downloadFile(asked)).resumedBytes).toBe(CONTENT.length);
    expect(requests.filter(({ method }) => method === "GET")).toHaveLength(before);
    writeFileSync(asked.path, "damaged");
    expect((await downloadFile(asked)).sha256).toBe(SHA256);
  });
});

describe("a download that must not be trusted", () => {
  it("deletes a file whose hash is wrong, and never gives it its name", async () => {
    const { endpoint } = await hub({ sha256: "0".repeat(64) });
    const asked = wanted(endpoint);
    const error = await failureOf(downloadFile(asked));
    expect(isCoded(error, "model_invalid")).toBe(true);
    expect([asked.path, `${asked.path}.part`].map((path) => existsSync(path))).toEqual([
      false,
      false,
    ]);
  });

  it("says so where no hash is announced", async () => {
    const { endpoint } = await hub({ sha256: null });
    expect(await downloadFile(wanted(endpoint))).toMatchObject({
      isChecked: false,
      sha256: SHA256,
    });
  });

  it("does not follow to strangers", async () => {
    const { endpoint } = await hub({ redirectTo: "http://evil.example/blob" });
    const error = await failureOf(downloadFile(wanted(endpoint)));
    expect(String(error)).toContain("evil.example");
  });

  it("says plainly when it is offline, what to do, and when there is no such file", async () => {
    const offline = await failureOf(downloadFile(wanted("http://127.0.0.1:9")));
    expect(String(offline)).toMatch(/cannot be reached.*offline.*copy the file to/s);
    const { endpoint } = await hub();
    const unknown = await failureOf(downloadFile(wanted(endpoint, { file: "other.gguf" })));
    expect(String(unknown)).toContain("there is no such file");
  });

  it("stops when it is told to, and keeps what it has", async () => {
    const { endpoint } = await hub();
    const stop = new AbortController();
    const asked = wanted(endpoint, {
      signal: stop.signal,
      onProgress: () => stop.abort(new Error("enough")),
    });
    expect(String(await failureOf(downloadFile(asked)))).toContain("enough");
    expect((await downloadFile({ ...asked, signal: new AbortController().signal })).sha256).toBe(
      SHA256,
    );
  });
});
