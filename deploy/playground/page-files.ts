/**
 * Serves the page: HTML, CSS, and its TypeScript with the types stripped, so that there is no build.
 * Files are read once, when the page is first asked for.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import type { Hono } from "hono";

const FOLDER = new URL("./page/", import.meta.url);
const MARKDOWN = new URL(import.meta.resolve("markdown-it/browser"));
type PageFile = { readonly type: string; readonly text: string };
type LoadedPage = {
  readonly html: string;
  readonly policy: string;
  readonly files: ReadonlyMap<string, PageFile>;
};

/** Adds the page at / and its files under /page/. */
export function addPageRoutes(app: Hono): void {
  let loaded: LoadedPage | undefined;
  const page = () => {
    loaded ??= loadPage();
    return loaded;
  };
  app.get("/", () => {
    const { html, policy } = page();
    return respond({ type: "text/html; charset=utf-8", text: html }, policy);
  });
  app.get("/page/*", (context) => {
    const { files, policy } = page();
    const file = files.get(context.req.path.slice("/page/".length));
    return file === undefined ? context.text("There is no such file.", 404) : respond(file, policy);
  });
}

function loadPage(): LoadedPage {
  const html = readFileSync(new URL("index.html", FOLDER), "utf8");
  return { html, policy: contentPolicy(html), files: readFiles() };
}

function readFiles(): Map<string, PageFile> {
  const script = "text/javascript; charset=utf-8";
  const files = new Map<string, PageFile>([
    ["vendor/markdown-it.js", { type: script, text: readFileSync(MARKDOWN, "utf8") }],
  ]);
  for (const name of readdirSync(FOLDER)) {
    const text = () => readFileSync(new URL(name, FOLDER), "utf8");
    if (name.endsWith(".css")) files.set(name, { type: "text/css; charset=utf-8", text: text() });
    if (name.endsWith(".ts")) files.set(name, { type: script, text: stripTypes(text()) });
  }
  return files;
}

/** Node says once a process that this function is new; that is of no use to who starts a chat. */
function stripTypes(source: string): string {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** Nothing but this server's own files runs or loads; the import map is let in by its hash. */
function contentPolicy(html: string): string {
  const map = /<script type="importmap">([^<]*)<\/script>/.exec(html)?.[1] ?? "";
  const hash = createHash("sha256").update(map).digest("base64");
  return [
    "default-src 'none'",
    `script-src 'self' 'sha256-${hash}'`,
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

function respond(file: PageFile, policy: string): Response {
  return new Response(file.text, {
    headers: {
      "Content-Type": file.type,
      "Content-Security-Policy": policy,
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cache-Control": "no-cache",
    },
  });
}
