/**
 * Discord's published OpenAPI document as validators: which operation a request is, and what its path,
 * query and body have against it. It knows no limits that the document lacks.
 */
import { readFileSync } from "node:fs";
import type { AnySchema, ErrorObject, ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { z } from "zod";
import type { RecordedRequest } from "#deploy/playground/rest/record.ts";

const schema = z.custom<AnySchema>((value) => typeof value === "object" && value !== null);
const parameter = z.object({
  name: z.string(),
  in: z.enum(["path", "query", "header"]),
  required: z.boolean().optional(),
  schema,
});
const operation = z.object({
  operationId: z.string(),
  parameters: z.array(parameter).optional(),
  requestBody: z
    .object({
      required: z.boolean().optional(),
      content: z.record(z.string(), z.object({ schema })),
    })
    .optional(),
});
const METHODS = ["get", "put", "post", "patch", "delete"] as const;
const document = z.object({
  paths: z.record(
    z.string(),
    z.object({
      parameters: z.array(parameter).optional(),
      ...Object.fromEntries(METHODS.map((method) => [method, operation.optional()])),
    }),
  ),
  components: z.record(z.string(), z.unknown()),
});

type Parameter = z.infer<typeof parameter>;
type Operation = {
  readonly id: string;
  readonly method: string;
  readonly template: string;
  readonly pattern: RegExp;
  readonly names: readonly string[];
  readonly parameters: readonly Parameter[];
  readonly body: z.infer<typeof operation>["requestBody"];
};

const ROOT = "discord";
const INT64 = /^\d{1,20}$/;
/** Failures told of one body; a union's branches each complain. */
const TOLD = 12;

/** The document, with validators compiled as they are needed. */
export class PublishedApi {
  readonly #ajv: Ajv2020;
  readonly #operations: readonly Operation[];
  readonly #validators = new Map<string, ValidateFunction>();

  /** @param json the document's text */
  constructor(json: string) {
    const { paths, components } = document.parse(JSON.parse(json));
    this.#ajv = new Ajv2020({ strict: false, allErrors: true, coerceTypes: false });
    addFormats(this.#ajv);
    this.#ajv.addSchema({ $id: ROOT, components: closed(components) });
    // Where two templates fit, the one with more words of its own is meant: messages/@original.
    this.#operations = Object.entries(paths)
      .flatMap(([template, path]) => readPath(template, path))
      .sort((a, b) => a.names.length - b.names.length);
  }

  /** @param path of the document */
  static read(path: string): PublishedApi {
    return new PublishedApi(readFileSync(path, "utf8"));
  }

  /** The operation's id with what the request has against it; no id when there is no such route. */
  check(request: RecordedRequest): { readonly id?: string; readonly problems: readonly string[] } {
    const found = this.#find(request);
    if (found === undefined) {
      return { problems: [`no such route: ${request.method} ${request.path}`] };
    }
    const { operation, values } = found;
    return {
      id: operation.id,
      problems: [
        ...this.#checkPath(operation, values),
        ...this.#checkQuery(operation, request.query),
        ...this.#checkBody(operation, request),
      ],
    };
  }

  #find({ method, path }: RecordedRequest) {
    for (const operation of this.#operations) {
      if (operation.method !== method) continue;
      const match = operation.pattern.exec(decodeURI(path).replace("%40", "@"));
      if (match === null) continue;
      const values = operation.names.map((name, index) => [name, match[index + 1] ?? ""] as const);
      return { operation, values };
    }
    return undefined;
  }

  #checkPath(operation: Operation, values: readonly (readonly [string, string])[]): string[] {
    return values.flatMap(([name, value]) => {
      const known = operation.parameters.find((one) => one.in === "path" && one.name === name);
      return known === undefined ? [] : this.#checkParameter(operation, known, value);
    });
  }

  #checkQuery(operation: Operation, query: RecordedRequest["query"]): string[] {
    const known = operation.parameters.filter((one) => one.in === "query");
    const missing = known
      .filter((one) => one.required === true && !(one.name in query))
      .map((one) => `query: ${one.name} is missing`);
    const wrong = Object.entries(query).flatMap(([name, value]) => {
      const parameter = known.find((one) => one.name === name);
      if (parameter === undefined) return [`query: ${name} is unknown`];
      return this.#checkParameter(operation, parameter, value);
    });
    return [...missing, ...wrong];
  }

  /** A parameter is text: it fits when the text, or what the text means in JSON, does. */
  #checkParameter({ id }: Operation, parameter: Parameter, text: string): string[] {
    const validate = this.#validator(`${id} ${parameter.in} ${parameter.name}`, parameter.schema);
    if (validate(text)) return [];
    if (/^(-?\d{1,15}|true|false)$/.test(text) && validate(JSON.parse(text))) return [];
    return explain(validate.errors, `${parameter.in}: ${parameter.name}`);
  }

  #checkBody({ id, body }: Operation, request: RecordedRequest): string[] {
    const sent = request.body;
    if (body === undefined) return sent === undefined ? [] : ["a body where none is taken"];
    if (sent === undefined && request.files.length === 0) {
      return body.required === true ? ["the body is missing"] : [];
    }
    const ofType = body.content[request.contentType];
    if (ofType === undefined) return [`content type ${request.contentType} is not taken`];
    // A multipart body's JSON is the same as without files.
    const { schema: expected } = body.content["application/json"] ?? ofType;
    const validate = this.#validator(`${id} body`, expected);
    return validate(withoutKnownGaps(sent ?? {})) ? [] : explain(validate.errors, "body");
  }

  #validator(key: string, expected: AnySchema): ValidateFunction {
    const present = this.#validators.get(key);
    if (present !== undefined) return present;
    const made = this.#ajv.compile(absolute(closed(expected)));
    this.#validators.set(key, made);
    return made;
  }
}

/**
 * Where the document differs from what Discord takes: discord.js puts `tts: false` and
 * `enforce_nonce: false` on every message, also where they mean nothing (MessagePayload.js), and
 * permissions are text in all of Discord's documentation, numbers in the document.
 */
function withoutKnownGaps(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutKnownGaps);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).flatMap(([key, each]) => {
    if ((key === "tts" || key === "enforce_nonce") && each === false) return [];
    const isPermissions = key === "default_member_permissions" && /^\d{1,15}$/.test(String(each));
    return [[key, isPermissions ? Number(each) : withoutKnownGaps(each)]];
  });
  return Object.fromEntries(entries);
}

function readPath(
  template: string,
  path: z.infer<typeof document>["paths"][string],
): readonly Operation[] {
  const names = [...template.matchAll(/\{([^}]+)\}/g)].map((match) => match[1] ?? "");
  const source = template.replaceAll(/\{[^}]+\}/g, "([^/]+)");
  return METHODS.flatMap((method) => {
    const found = operation.safeParse(Reflect.get(path, method));
    if (!found.success) return [];
    const { operationId, parameters = [], requestBody } = found.data;
    return [
      {
        id: operationId,
        method: method.toUpperCase(),
        template,
        pattern: new RegExp(`^${source}$`),
        names,
        parameters: [...(path.parameters ?? []), ...parameters],
        body: requestBody,
      },
    ];
  });
}

function addFormats(ajv: Ajv2020): void {
  ajv.addFormat("snowflake", /^(0|[1-9]\d{0,19})$/);
  ajv.addFormat("nonce", /^.{0,25}$/s);
  ajv.addFormat("date-time", { validate: (text: string) => !Number.isNaN(Date.parse(text)) });
  ajv.addFormat("uri", { validate: (text: string) => URL.canParse(text) });
  ajv.addFormat("int32", {
    type: "number",
    validate: (n: number) => Number.isInteger(n) && Math.abs(n) < 2 ** 31,
  });
  ajv.addFormat("int64", {
    type: "number",
    validate: (n: number) => INT64.test(String(Math.abs(n))),
  });
  ajv.addFormat("double", { type: "number", validate: Number.isFinite });
}

/**
 * Unknown fields pass in the document; a field that Discord does not know is a mistake of ours.
 * Objects that are put together by allOf are left open: each part would forbid the other's fields.
 */
function closed<T>(value: T): T {
  return z.custom<T>().parse(close(value));
}

function close(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(close);
  if (typeof value !== "object" || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([key, each]) => [key, close(each)]));
  const isObject = typeof copy["properties"] === "object" && copy["allOf"] === undefined;
  return isObject && copy["type"] !== undefined ? { additionalProperties: false, ...copy } : copy;
}

/** References of the document as references to the schema that was added. */
function absolute(value: AnySchema): AnySchema {
  const text = JSON.stringify(value).replaceAll('"$ref":"#/', `"$ref":"${ROOT}#/`);
  return schema.parse(JSON.parse(text));
}

function explain(errors: readonly ErrorObject[] | null | undefined, where: string): string[] {
  const lines = (errors ?? []).map(({ instancePath, message, params }) => {
    const extra =
      "additionalProperty" in params ? ` (${String(params["additionalProperty"])})` : "";
    return `${where}${instancePath} ${message ?? "does not fit"}${extra}`;
  });
  return [...new Set(lines)].slice(0, TOLD);
}
