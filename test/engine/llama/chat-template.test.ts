import { createRequire } from "node:module";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  isZephyrTemplate,
  renderZephyr,
  type TemplateMessage,
  ZEPHYR_JINJA,
} from "#engine/llama/chat-template.ts";
import { bindLlama } from "#engine/native/llama.ts";
import { cpuLibraries } from "../../model/libraries.ts";

type JinjaTemplate = { render(values: Record<string, unknown>): string };
// The Jinja engine that node-llama-cpp brings, with the whitespace rules that chat templates are written for.
const fromNodeLlamaCpp = createRequire(import.meta.resolve("node-llama-cpp"));
const { Template }: { Template: new (source: string) => JinjaTemplate } =
  fromNodeLlamaCpp("@huggingface/jinja");

const messagesOf: fc.Arbitrary<TemplateMessage[]> = fc.array(
  fc.record({
    role: fc.constantFrom("system", "user", "assistant"),
    content: fc.string({ unit: "binary" }),
  }),
  { maxLength: 6 },
);

function renderJinja(messages: readonly TemplateMessage[], addGenerationPrompt: boolean): string {
  return new Template(ZEPHYR_JINJA).render({
    messages,
    add_generation_prompt: addGenerationPrompt,
    eos_token: "</s>",
    bos_token: "<s>",
  });
}

/** What libllama's C API makes of a template's text or name. */
function renderNative(template: string, messages: readonly TemplateMessage[]): string {
  const room = new Uint8Array(10_000);
  const length = bindLlama(cpuLibraries()).llama_chat_apply_template(
    template,
    messages,
    messages.length,
    true,
    room,
    room.length,
  );
  return Buffer.from(room.subarray(0, length)).toString();
}

const DIALOGUE: readonly TemplateMessage[] = [
  { role: "system", content: "Be kind." },
  { role: "user", content: "Hi\nthere" },
  { role: "assistant", content: "Hello." },
  { role: "user", content: "" },
];

describe("renderZephyr", () => {
  test("writes a conversation as Zephyr's card shows it", () => {
    expect(renderZephyr(DIALOGUE, { addGenerationPrompt: true })).toBe(
      "<|system|>\nBe kind.</s>\n<|user|>\nHi\nthere</s>\n<|assistant|>\nHello.</s>\n<|user|>\n</s>\n<|assistant|>\n",
    );
  });

  test("is byte for byte what the GGUF's own Jinja template gives", () => {
    fc.assert(
      fc.property(messagesOf, fc.boolean(), (messages, addGenerationPrompt) => {
        expect(renderZephyr(messages, { addGenerationPrompt })).toBe(
          renderJinja(messages, addGenerationPrompt),
        );
      }),
    );
  });

  test("is libllama's built-in \"zephyr\" but for the end of turn, where that writes StableLM's", () => {
    const native = renderNative("zephyr", DIALOGUE);
    expect(native).toContain("<|endoftext|>");
    expect(native.replaceAll("<|endoftext|>", "</s>")).toBe(
      renderZephyr(DIALOGUE, { addGenerationPrompt: true }),
    );
  });

  test("differs from libllama's guess at Zephyr's own template, which ends no turn", () => {
    expect(renderNative(ZEPHYR_JINJA, DIALOGUE)).not.toContain("</s>");
  });
});

describe("isZephyrTemplate", () => {
  test("accepts Zephyr's template and files without one", () => {
    expect(isZephyrTemplate(ZEPHYR_JINJA)).toBe(true);
    expect(isZephyrTemplate(null)).toBe(true);
  });

  test("refuses templates of other families", () => {
    expect(isZephyrTemplate("{{ '<|im_start|>' + message['role'] }}")).toBe(false);
    expect(isZephyrTemplate("[INST] {{ content }} [/INST]</s>")).toBe(false);
  });
});
