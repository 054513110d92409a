import { describe, expect, test } from "vitest";
import { LLAMA_RELEASE } from "#engine/native/library.ts";
import { bindLlama } from "#engine/native/llama.ts";
import { assertKnownDefaults } from "#engine/native/llama-struct.ts";
import { cpuLibraries } from "../../model/libraries.ts";

const llama = bindLlama(cpuLibraries());

describe("the bindings of libllama", () => {
  test("are of the release that the library says it is", () => {
    expect(`v${llama.llama_version()}`).toContain(LLAMA_RELEASE);
  });

  test("see llama.h's default values, so the structs lie where they should", () => {
    expect(llama.llama_context_default_params()).toMatchObject({
      n_ctx: 512,
      n_batch: 2048,
      n_ubatch: 512,
      kv_unified: false,
    });
    expect(llama.llama_model_default_params()).toMatchObject({ n_gpu_layers: -1 });
  });

  test("refuse a library whose defaults moved, naming the field", () => {
    const model = llama.llama_model_default_params();
    const context = llama.llama_context_default_params();
    expect(() => assertKnownDefaults(model, context)).not.toThrow();
    expect(() => assertKnownDefaults(model, { ...context, n_ubatch: 0 })).toThrow(
      "expected llama_context_params.n_ubatch to default to 512, found 0",
    );
    expect(() => assertKnownDefaults({ ...model, vocab_only: true }, context)).toThrow(
      "vocab_only",
    );
  });
});
