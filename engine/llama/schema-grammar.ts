/**
 * A JSON schema as a GBNF grammar (llama.cpp, grammars/README.md), for the part of JSON Schema that
 * OpenAI's structured outputs take: objects, arrays, strings, numbers, booleans, null, enum, const, anyOf
 * and $ref. What it does not know it refuses, since an answer that breaks the schema is worse than none.
 */
import { CodedError } from "../base/errors.ts";

/** Whatever was sent as a schema. */
type Schema = Readonly<Record<string, unknown>>;

const WHITESPACE = 'ws ::= | " " | "\\n" [ \\t]{0,20}';
const PRIMITIVES: Readonly<Record<string, string>> = {
  string: 'string ::= "\\"" char* "\\""',
  // Not a negated set: that would let bytes through that are no characters.
  char: 'char ::= [ !#-\\[\\]-~\\u00A0-\\uD7FF\\uE000-\\uFFFD\\U00010000-\\U0010FFFF] | "\\\\" (["\\\\bfnrt/] | "u" [0-9a-fA-F]{4})',
  integer: 'integer ::= "-"? ("0" | [1-9] [0-9]{0,15})',
  number: 'number ::= integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?',
  boolean: 'boolean ::= "true" | "false"',
  null: 'null ::= "null"',
  value: "value ::= object | array | string | number | boolean | null",
  object: 'object ::= "{" ws (member ("," ws member)*)? "}" ws',
  member: 'member ::= string ":" ws value ws',
  array: 'array ::= "[" ws (value ws ("," ws value ws)*)? "]" ws',
};
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  string: ["char"],
  number: ["integer"],
  value: ["object", "array", "string", "number", "boolean", "null"],
  object: ["member", "string", "value"],
  array: ["value"],
  member: ["string", "value"],
};
/** Says nothing about which texts are valid, or what people read. */
const ANNOTATIONS = new Set([
  ...["title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs"],
  ...["definitions", "deprecated", "readOnly", "writeOnly", "strict", "name"],
]);
const KEYWORDS: Readonly<Record<string, readonly string[]>> = {
  object: ["properties", "required", "additionalProperties"],
  array: ["items", "minItems", "maxItems"],
  string: ["minLength", "maxLength"],
  integer: [],
  number: [],
  boolean: [],
  null: [],
};
const MOST_RULES = 500;
const MOST_REPEATS = 500;
const MOST_DEPTH = 32;

/** The grammar of any JSON object. */
export function jsonObjectGrammar(): string {
  return grammarOf((rules) => rules.primitive("object"));
}

/**
 * Converts a schema.
 * @returns GBNF whose start is `root`
 * @throws CodedError `invalid_request` naming the place in the schema and what to write instead
 */
export function schemaToGrammar(schema: unknown): string {
  return grammarOf((rules) => rules.visit(asSchema(schema, "schema"), "schema", 0), schema);
}

function grammarOf(start: (rules: RuleBook) => string, schema?: unknown): string {
  const rules = new RuleBook(schema);
  const root = start(rules);
  return [`root ::= ws ${root} ws`, WHITESPACE, ...rules.lines].join("\n");
}

/** The rules so far, and the schema that references point into. */
class RuleBook {
  readonly #rules = new Map<string, string>();
  readonly #references = new Map<string, string>();
  readonly #whole: unknown;

  constructor(whole: unknown) {
    this.#whole = whole;
  }

  get lines(): string[] {
    return [...this.#rules.values()];
  }

  /** The expression for a schema. @param at its place, for messages */
  visit(schema: Schema, at: string, depth: number): string {
    if (depth > MOST_DEPTH) throw refusal(at, `a depth of at most ${MOST_DEPTH}`, "a deeper one");
    if (typeof schema["$ref"] === "string") return this.#reference(schema["$ref"], at, depth);
    if (schema["const"] !== undefined) return literal(JSON.stringify(schema["const"]));
    const { enum: choices, anyOf = schema["oneOf"], allOf } = schema;
    if (choices !== undefined) {
      return alternatives(asList(choices, `${at}.enum`).map((one) => literal(JSON.stringify(one))));
    }
    const parts = anyOf ?? (Array.isArray(allOf) && allOf.length === 1 ? allOf : undefined);
    if (parts !== undefined) {
      const places = asList(parts, `${at}.anyOf`);
      return alternatives(
        places.map((one, i) =>
          this.visit(asSchema(one, `${at}.anyOf[${i}]`), `${at}.anyOf[${i}]`, depth + 1),
        ),
      );
    }
    const { type } = schema;
    if (Array.isArray(type)) {
      return alternatives(type.map((one) => this.visit({ ...schema, type: one }, at, depth + 1)));
    }
    return this.#typed(schema, inferType(schema), at, depth);
  }

  /** The name of a rule for any value of a kind, with what it needs. */
  primitive(name: string): string {
    const rule = PRIMITIVES[name];
    if (rule === undefined) throw new Error(`no primitive rule ${name}`);
    if (this.#rules.has(name)) return name;
    this.#rules.set(name, rule);
    for (const needed of NEEDS[name] ?? []) this.primitive(needed);
    return name;
  }

  #typed(schema: Schema, type: string | undefined, at: string, depth: number): string {
    if (type === undefined) {
      assertKnown(schema, [], at);
      return this.primitive("value");
    }
    const keywords = KEYWORDS[type];
    if (keywords === undefined) {
      throw refusal(`${at}.type`, Object.keys(KEYWORDS).join(", "), JSON.stringify(type));
    }
    assertKnown(schema, keywords, at);
    switch (type) {
      case "object":
        return this.#object(schema, at, depth);
      case "array":
        return this.#array(schema, at, depth);
      case "string":
        return this.#string(schema, at);
      default:
        return this.primitive(type);
    }
  }

  /** Properties in the order in which they are written, as OpenAI gives them; optional ones may be missing. */
  #object(schema: Schema, at: string, depth: number): string {
    const { properties, additionalProperties } = schema;
    if (properties === undefined) {
      if (additionalProperties === false) return literal("{}");
      return this.primitive("object");
    }
    const required = asList(schema["required"] ?? [], `${at}.required`);
    const members = Object.entries(asSchema(properties, `${at}.properties`)).map(
      ([name, value]) => {
        const place = `${at}.properties.${name}`;
        const rule = this.#name(this.visit(asSchema(value, place), place, depth + 1));
        const text = `${literal(JSON.stringify(name))} ":" ws ${rule} ws`;
        return { text, isRequired: required.includes(name) };
      },
    );
    return `"{" ws ${this.#members(members)} "}"`;
  }

  /** Rules from the last member to the first: what may follow, with and without a comma before it. */
  #members(members: readonly { readonly text: string; readonly isRequired: boolean }[]): string {
    let [first, later] = ["", ""];
    for (const { text, isRequired } of members.toReversed()) {
      const following = later === "" ? "" : ` ${this.#name(later)}`;
      const starting = first === "" ? "" : this.#name(first);
      const [asFirst, asLater] = [`${text}${following}`, `"," ws ${text}${following}`];
      first = isRequired ? asFirst : `(${asFirst} | ${starting})`;
      later = isRequired ? asLater : `(${asLater} |${following})`;
    }
    return first;
  }

  #array(schema: Schema, at: string, depth: number): string {
    const { items } = schema;
    const item =
      items === undefined
        ? this.primitive("value")
        : this.#name(this.visit(asSchema(items, `${at}.items`), `${at}.items`, depth + 1));
    const least = countOf(schema["minItems"], 0, `${at}.minItems`);
    const most = countOf(schema["maxItems"], undefined, `${at}.maxItems`);
    if (most === 0) return '"[" ws "]"';
    const more = `("," ws ${item} ws)${repeats(Math.max(0, least - 1), most === undefined ? undefined : most - 1)}`;
    const list = `${item} ws ${more}`;
    return least > 0 ? `"[" ws ${list} "]"` : `"[" ws (${list})? "]"`;
  }

  #string(schema: Schema, at: string): string {
    const least = countOf(schema["minLength"], 0, `${at}.minLength`);
    const most = countOf(schema["maxLength"], undefined, `${at}.maxLength`);
    if (least === 0 && most === undefined) return this.primitive("string");
    return `"\\"" ${this.primitive("char")}${repeats(least, most)} "\\""`;
  }

  /** A reference within the schema; it may lead back to itself. */
  #reference(target: string, at: string, depth: number): string {
    const known = this.#references.get(target);
    if (known !== undefined) return known;
    if (!target.startsWith("#"))
      throw refusal(`${at}.$ref`, "a reference that begins with #", target);
    const path = target.slice(1).split("/").slice(1);
    const found = path.reduce<unknown>(
      (value, part) => memberOf(value, part.replaceAll("~1", "/").replaceAll("~0", "~")),
      this.#whole,
    );
    const name = `ref-${this.#references.size}`;
    this.#references.set(target, name);
    this.#rules.set(name, `${name} ::= ${this.visit(asSchema(found, target), target, depth + 1)}`);
    return name;
  }

  /** The name of a rule with this expression, so that no expression is written out twice. */
  #name(expression: string): string {
    if (/^[a-z][a-z0-9-]*$/.test(expression)) return expression;
    for (const [name, rule] of this.#rules) if (rule === `${name} ::= ${expression}`) return name;
    if (this.#rules.size >= MOST_RULES) {
      throw refusal("schema", `at most ${MOST_RULES} different parts`, "more");
    }
    const name = `r${this.#rules.size}`;
    this.#rules.set(name, `${name} ::= ${expression}`);
    return name;
  }
}

function inferType(schema: Schema): string | undefined {
  if (typeof schema["type"] === "string") return schema["type"];
  if (schema["properties"] !== undefined) return "object";
  return schema["items"] === undefined ? undefined : "array";
}

function assertKnown(schema: Schema, keywords: readonly string[], at: string): void {
  for (const keyword of Object.keys(schema)) {
    if (keyword === "type" || ANNOTATIONS.has(keyword) || keywords.includes(keyword)) continue;
    const known = keywords.join(", ") || "none";
    throw refusal(`${at}.${keyword}`, `a keyword that is served here (${known})`, "this one");
  }
  const additional = schema["additionalProperties"];
  if (additional !== undefined && typeof additional !== "boolean") {
    throw refusal(`${at}.additionalProperties`, "true or false", "a schema");
  }
}

function alternatives(expressions: readonly string[]): string {
  return `(${expressions.join(" | ")})`;
}

/** Text as it must stand; a GBNF string escapes as JSON does. */
function literal(text: string): string {
  return JSON.stringify(text).replaceAll("\\b", "\\x08").replaceAll("\\f", "\\x0C");
}

function repeats(least: number, most: number | undefined): string {
  if (most === undefined) return least === 0 ? "*" : `{${least},}`;
  return `{${least},${Math.max(least, most)}}`;
}

function countOf<T extends number | undefined>(
  value: unknown,
  otherwise: T,
  at: string,
): number | T {
  if (value === undefined) return otherwise;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MOST_REPEATS) {
    return value;
  }
  throw refusal(at, `a whole number from 0 to ${MOST_REPEATS}`, JSON.stringify(value));
}

function asList(value: unknown, at: string): readonly unknown[] {
  if (Array.isArray(value) && (value.length > 0 || at.endsWith(".required"))) return value;
  throw refusal(at, "a list with something in it", JSON.stringify(value));
}

function asSchema(value: unknown, at: string): Schema {
  if (value === true) return {};
  if (isRecord(value)) return value;
  throw refusal(at, "an object", value === undefined ? "nothing" : JSON.stringify(value));
}

function memberOf(value: unknown, name: string): unknown {
  return isRecord(value) ? value[name] : undefined;
}

function isRecord(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refusal(at: string, expected: string, came: string): CodedError {
  return new CodedError(`${at}: expected ${expected}; got ${came.slice(0, 80)}.`, {
    code: "invalid_request",
  });
}
