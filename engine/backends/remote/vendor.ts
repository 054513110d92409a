/** What one vendor's server does in its own way: adapters above all. Everything else is OpenAI's wire. */
import type { AnswerShape } from "../backend.ts";
import type { Tools } from "../prompt.ts";
import type { ServerLink } from "./server-link.ts";

/** The servers that BACKEND_KIND may name. */
export type BackendKind =
  | "openai"
  | "vllm"
  | "llama-server"
  | "ollama"
  | "lm-studio"
  | "text-generation-webui";

/** A model as the server serves it; what it does not tell is left out. */
type ServedModel = {
  readonly contextTokens?: number;
  readonly streams?: number;
  /** The ids of all adapters that the server has in memory, whether or not they were asked for. */
  readonly adapterIds?: readonly string[];
  readonly takesImages?: boolean;
  readonly takesTools?: boolean;
};

/** An adapter that the server has, by whatever the vendor calls it. */
export type ServedAdapter = { readonly name: string; readonly id: string };

/** A server with the model that is asked for. */
export type VendorCall = {
  readonly link: ServerLink;
  readonly model: string;
  readonly signal: AbortSignal;
};

/** A vendor's own ways. */
export interface Vendor {
  readonly kind: BackendKind;
  /** Whether one adapter at a time holds for all requests; then they take turns. */
  readonly isExclusive: boolean;
  /** What the server tells of the model. @throws CodedError */
  describe(call: VendorCall): Promise<ServedModel>;
  /**
   * Makes an adapter available.
   * @param path its GGUF file, as this machine sees it
   * @throws CodedError `adapter_incompatible` saying what to do where the server cannot
   */
  load(call: VendorCall, name: string, path: string): Promise<ServedAdapter>;
  unload(call: VendorCall, adapter: ServedAdapter): Promise<void>;
  /** Before a request, where the server has one adapter for all. */
  select(call: VendorCall, adapter: ServedAdapter | null): Promise<void>;
  /** The fields of a request that name the model and its adapter. @param adapterIds see `ServedModel` */
  fields(
    model: string,
    adapter: ServedAdapter | null,
    adapterIds: readonly string[],
  ): Readonly<Record<string, unknown>>;
  /** The fields that ask for an answer of a shape. */
  shapeFields(shape: AnswerShape): Readonly<Record<string, unknown>>;
  /** The fields that offer functions. */
  toolFields(tools: Tools): Readonly<Record<string, unknown>>;
}
