/** Judges recorded requests by the published document and the product's limits, and tells the outcome. */
import type { RecordedRequest } from "#deploy/playground/rest/record.ts";
import { productProblems } from "./product-limits.ts";
import type { PublishedApi } from "./published-api.ts";

/** One request that does not conform, and why. */
type Violation = { readonly request: RecordedRequest; readonly problems: readonly string[] };

/** What was found. */
export type Report = {
  readonly requests: number;
  readonly operations: readonly string[];
  readonly violations: readonly Violation[];
};

const EXCERPT = 600;

/** Judges each request. */
export function judgeRequests(api: PublishedApi, requests: readonly RecordedRequest[]): Report {
  const operations = new Set<string>();
  const violations: Violation[] = [];
  for (const request of requests) {
    const { id, problems } = api.check(request);
    if (id !== undefined) operations.add(id);
    const all = [...problems, ...productProblems(request)];
    if (all.length > 0) violations.push({ request, problems: all });
  }
  return { requests: requests.length, operations: [...operations].sort(), violations };
}

/** The outcome in a few lines; each kind of violation is told once, with an example. */
export function describeReport({ requests, operations, violations }: Report): string {
  const kinds = Map.groupBy(violations, ({ request, problems }) =>
    [
      request.method,
      request.path.replaceAll(/\d{5,}/g, ":id").replace(/:id\/[\w-]{40,}/, ":id/:token"),
      ...problems,
    ].join(" | "),
  );
  const examples = [...kinds.values()].map((alike) => {
    const [{ request, problems }] = [alike[0] ?? { request: undefined, problems: [] }];
    return `  ${alike.length} × ${request?.method} ${request?.path}: ${problems.join("; ")}\n    ${JSON.stringify(request?.body)?.slice(0, EXCERPT)}`;
  });
  const head = `Conformance: ${requests} requests of the bot, ${operations.length} operations (${operations.join(", ")}), ${violations.length} violations.`;
  return [head, ...examples].join("\n");
}
