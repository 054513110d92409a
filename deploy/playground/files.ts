/** Serves uploaded files, in such a way that none of them can run as a page of this server. */
import type { Hono } from "hono";
import type { Store } from "./world/store.ts";

/** Types that a browser may show in place; everything else is downloaded. */
const SHOWN = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "text/plain"]);

/** Adds GET /attachments/{id}/{name}. */
export function addFileRoutes(app: Hono, store: Store): void {
  app.get("/attachments/:id/:name", (context) => {
    const file = store.file(context.req.param("id"));
    if (file === undefined) return context.text("There is no such file.", 404);
    const type = file.contentType.split(";")[0] ?? "";
    const isShown = SHOWN.has(type);
    return new Response(new Uint8Array(file.bytes), {
      headers: {
        "Content-Type": isShown ? file.contentType : "application/octet-stream",
        "Content-Disposition": isShown ? "inline" : "attachment",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
      },
    });
  });
}
