/**
 * What goes wrong, as OpenAI's clients expect to be told: `{error: {message, type, param, code}}`.
 * It maps the project's codes to HTTP; it writes no log.
 */
import { CodedError, type ErrorCode } from "../base/errors.ts";
import { toWireCode } from "../client/wire.ts";

/** A status that a problem is answered with. */
export type ProblemStatus =
  | (400 | 401 | 403 | 404 | 405 | 409 | 413 | 429)
  | (500 | 502 | 503 | 504 | 507);

/** A refusal by the HTTP layer itself. */
export class HttpProblem extends Error {
  readonly status: ProblemStatus;
  readonly code: string;
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    message: string,
    options: ErrorOptions & {
      readonly status: ProblemStatus;
      readonly code: string;
      readonly param?: string;
      readonly headers?: Readonly<Record<string, string>>;
    },
  ) {
    super(message, options);
    this.name = "HttpProblem";
    this.status = options.status;
    this.code = options.code;
    this.param = options.param ?? null;
    this.headers = options.headers ?? {};
  }
}

/**
 * A 400 about one field of a request.
 * @param param the field; empty for the body as a whole
 * @param what what is wrong with it, or was expected, without a full stop
 */
export function invalidField(param: string, what: string, cause?: unknown): HttpProblem {
  return new HttpProblem(`${param || "The body"}: ${what}.`, {
    status: 400,
    code: "invalid_request",
    param,
    cause,
  });
}

const STATUS = new Map<ErrorCode, ProblemStatus>([
  ["adapter_corrupt", 409],
  ["adapter_exists", 409],
  ["adapter_in_use", 409],
  ["adapter_incompatible", 409],
  ["adapter_name_invalid", 400],
  ["adapter_unknown", 404],
  ["api_key_invalid", 401],
  ["backend_refused", 502],
  ["backend_unreachable", 503],
  ["deadline_exceeded", 504],
  ["disk_full", 507],
  ["engine_stopping", 503],
  ["gate_refused", 409],
  ["guard_failed", 503],
  ["invalid_request", 400],
  ["model_unknown", 404],
  ["out_of_memory", 503],
  ["prompt_too_long", 400],
  ["queue_full", 429],
]);
const PARAM = new Map<ErrorCode, string>([
  ["model_unknown", "model"],
  ["prompt_too_long", "messages"],
]);

/** Any error as a problem; what was not foreseen says nothing of its inside. */
export function toProblem(error: unknown, requestId: string): HttpProblem {
  if (error instanceof HttpProblem) return error;
  if (error instanceof CodedError) {
    const param = PARAM.get(error.code);
    return new HttpProblem(error.message, {
      status: STATUS.get(error.code) ?? 500,
      code: toWireCode(error.code),
      ...(param === undefined ? {} : { param }),
    });
  }
  return new HttpProblem(
    `The engine failed in a way that it should not have. Its log tells more under request ${requestId}.`,
    { status: 500, code: "internal_error" },
  );
}

/** The body of a problem's answer. */
export function problemBody(problem: HttpProblem): {
  error: { message: string; type: string; param: string | null; code: string };
} {
  const { message, param, code, status } = problem;
  return { error: { message, type: typeOf(status), param, code } };
}

function typeOf(status: ProblemStatus): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}
