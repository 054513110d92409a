import { describe, expect, test } from "vitest";
import type { RecordedRequest } from "#deploy/playground/rest/record.ts";
import { describeReport, judgeRequests } from "./judge.ts";
import { productProblems } from "./product-limits.ts";
import { PublishedApi } from "./published-api.ts";

const documentPath = process.env["DISCORD_OPENAPI"] ?? "";
const CHANNEL = "/channels/1200000000000000003";
const SILENT = { allowed_mentions: { parse: [] } };

function request(changes: Partial<RecordedRequest>): RecordedRequest {
  return {
    method: "POST",
    path: `${CHANNEL}/messages`,
    query: {},
    contentType: "application/json",
    files: [],
    ...changes,
  };
}

const callback = (body: object) =>
  request({ path: "/interactions/1200000000000000009/a.token/callback", body });
const row = (...components: object[]) => ({ type: 1, components });
const button = (customId: string) => ({ type: 2, style: 1, label: "Go", custom_id: customId });

/** What is found, and in which request. */
const BEYOND_THE_PRODUCT: [string, RecordedRequest][] = [
  ["content has 2001 characters", request({ body: { content: "x".repeat(2_001), ...SILENT } })],
  [
    "custom_id has 101",
    request({ body: { content: "x", components: [row(button("x".repeat(101)))], ...SILENT } }),
  ],
  ["allowed_mentions", request({ body: { content: "@everyone" } })],
  ["allowed_mentions", request({ body: { content: "x", allowed_mentions: { parse: ["users"] } } })],
  ["without anything", request({ body: { content: " ", ...SILENT } })],
  [
    "custom_id a stands twice",
    request({ body: { content: "x", components: [row(button("a"), button("a"))], ...SILENT } }),
  ],
  [
    "more than five buttons",
    request({
      body: {
        content: "x",
        components: [row(...["a", "b", "c", "d", "e", "f"].map(button))],
        ...SILENT,
      },
    }),
  ],
  [
    "6 rows",
    request({
      body: {
        content: "x",
        components: ["a", "b", "c", "d", "e", "f"].map((id) => row(button(id))),
        ...SILENT,
      },
    }),
  ],
  [
    "embeds of 6001",
    request({ body: { embeds: [{ title: "x", description: "x".repeat(6_000) }], ...SILENT } }),
  ],
  [
    "content beside Components V2",
    request({
      body: { content: "x", flags: 32_768, components: [{ type: 10, content: "x" }], ...SILENT },
    }),
  ],
  ["deferred reply with flags 32768", callback({ type: 5, data: { flags: 32_768 } })],
  [
    "audit log reason of 513",
    request({
      method: "DELETE",
      path: `${CHANNEL}/messages/1200000000000000004`,
      auditLogReason: "x".repeat(513),
    }),
  ],
  [
    "name Chat",
    request({
      method: "PUT",
      path: "/applications/1200000000000000002/commands",
      body: [{ name: "Chat", description: "x" }],
    }),
  ],
  [
    "required option behind",
    request({
      method: "PUT",
      path: "/applications/1200000000000000002/commands",
      body: [
        {
          name: "chat",
          description: "x",
          options: [
            { type: 3, name: "a", description: "x" },
            { type: 3, name: "b", description: "x", required: true },
          ],
        },
      ],
    }),
  ],
  [
    "11 files",
    request({
      contentType: "multipart/form-data",
      body: SILENT,
      files: Array.from({ length: 11 }, (_, index) => ({ field: `files[${index}]`, bytes: 1 })),
    }),
  ],
  [
    "files[0] is too large",
    request({
      contentType: "multipart/form-data",
      body: SILENT,
      files: [{ field: "files[0]", bytes: 11 * 1024 * 1024 }],
    }),
  ],
];

describe("the product's limits, which the published document lacks", () => {
  test.each(BEYOND_THE_PRODUCT)("finds %s", (found, sent) => {
    expect(productProblems(sent).join("; ")).toContain(found);
  });

  test("finds nothing in a plain message, an edit or a deferral", () => {
    expect(productProblems(request({ body: { content: "x", ...SILENT } }))).toEqual([]);
    expect(productProblems(callback({ type: 5, data: { flags: 64 } }))).toEqual([]);
  });
});

describe.skipIf(documentPath === "")("the published document (needs DISCORD_OPENAPI)", () => {
  const api = documentPath === "" ? undefined : PublishedApi.read(documentPath);
  const problemsOf = (sent: RecordedRequest) => api?.check(sent).problems.join("; ");

  test.each<[string, RecordedRequest]>([
    ["no such route", request({ path: "/channels/1/massages", body: { content: "x" } })],
    ["no such route", request({ method: "PUT", body: { content: "x" } })],
    ["path: channel_id", request({ path: "/channels/general/messages", body: { content: "x" } })],
    ["body/content must be string", request({ body: { content: 5 } })],
    ["(contents)", request({ body: { contents: "x" } })],
    [
      "(ephemeral)",
      request({ body: { content: "x", allowed_mentions: { parse: [], ephemeral: true } } }),
    ],
    ["body is missing", request({})],
    ["content type text/plain", request({ contentType: "text/plain", body: "x" })],
    ["query: wait is unknown", request({ query: { wait: "true" }, body: { content: "x" } })],
    ["query: limit", request({ method: "GET", contentType: "", query: { limit: "101" } })],
    ["body/type", callback({ type: 99 })],
    [
      "must have required property 'custom_id'",
      callback({ type: 9, data: { title: "x", components: [] } }),
    ],
    [
      "fewer than 1 characters",
      callback({ type: 9, data: { custom_id: "", title: "x", components: [] } }),
    ],
    [
      "a body where none is taken",
      request({ method: "DELETE", path: `${CHANNEL}/messages/1200000000000000004`, body: {} }),
    ],
  ])("finds %s", (found, sent) => {
    expect(problemsOf(sent)).toContain(found);
  });

  test("finds nothing in requests that Discord takes", () => {
    const fine = [
      request({ body: { content: "x", components: [row(button("a"))], ...SILENT } }),
      request({ method: "GET", contentType: "", query: { limit: "100" } }),
      request({
        contentType: "multipart/form-data",
        body: { content: "x" },
        files: [{ field: "files[0]", bytes: 1 }],
      }),
      request({
        method: "PATCH",
        path: "/webhooks/1200000000000000002/a.token/messages/%40original",
        body: { content: "x" },
      }),
      request({
        method: "PUT",
        path: `${CHANNEL}/messages/1200000000000000004/reactions/%F0%9F%91%8D/@me`,
        contentType: "",
      }),
      callback({ type: 5, data: { flags: 64 } }),
    ];
    expect(fine.map(problemsOf)).toEqual(fine.map(() => ""));
  });

  test("a report tells each kind of violation once, with an example", () => {
    if (api === undefined) throw new Error("no document");
    const wrong = request({ body: { contents: "x", content: "x", ...SILENT } });
    const report = judgeRequests(api, [
      wrong,
      wrong,
      request({ body: { content: "x", ...SILENT } }),
    ]);
    expect(report.violations).toHaveLength(2);
    const lines = describeReport(report).split("\n");
    expect(lines[0]).toBe(
      "Conformance: 3 requests of the bot, 1 operations (create_message), 2 violations.",
    );
    expect(lines[1]).toContain("2 × POST");
    expect(lines[1]).toContain("(contents)");
  });
});
