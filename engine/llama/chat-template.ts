/**
 * Zephyr's chat template, shared by serving and training. It writes text only: which tokens the text becomes,
 * BOS in front included, is the vocabulary's business.
 *
 * Why not llama.cpp's: its C API reads no Jinja, it guesses from the template's text. Asked for "zephyr" it ends
 * turns with <|endoftext|> (StableLM's variant), and the template inside Zephyr's own GGUF files it takes for
 * GLM-Edge's, without any end of turn (llama-chat.cpp, llm_chat_detect_template). Both differ from what the model
 * was trained on. The tests hold this module against the Jinja template itself.
 */

/** One turn; structurally the ChatMessage of the backends. */
export type TemplateMessage = {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
};

/** A stretch of the rendered conversation: the template's own marker, or plain text. */
type TemplatePiece =
  | { readonly kind: "marker"; readonly text: string }
  | { readonly kind: "endOfTurn" }
  | { readonly kind: "text"; readonly text: string };

/** Whether the rendering ends with the opening of the assistant's turn. */
export type TemplateOptions = { readonly addGenerationPrompt: boolean };

/** How Zephyr's EOS token is written. */
const END_OF_TURN = "</s>";

/** The template as HuggingFaceH4/zephyr-7b-beta's tokenizer_config.json has it, for GGUF files made here. */
export const ZEPHYR_JINJA = `{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}`;

/** The pieces of a conversation in order; joined they are `renderZephyr`'s text. */
export function* zephyrPieces(
  messages: readonly TemplateMessage[],
  { addGenerationPrompt }: TemplateOptions,
): Generator<TemplatePiece> {
  for (const { role, content } of messages) {
    yield { kind: "marker", text: `<|${role}|>` };
    yield { kind: "text", text: `\n${content}` };
    yield { kind: "endOfTurn" };
    yield { kind: "text", text: "\n" };
  }
  // The generation prompt stands inside the template's loop: no messages, no prompt.
  if (addGenerationPrompt && messages.length > 0) {
    yield { kind: "marker", text: "<|assistant|>" };
    yield { kind: "text", text: "\n" };
  }
}

/** The conversation as Zephyr's template writes it, without BOS. */
export function renderZephyr(
  messages: readonly TemplateMessage[],
  options: TemplateOptions,
): string {
  let text = "";
  for (const piece of zephyrPieces(messages, options)) {
    text += piece.kind === "endOfTurn" ? END_OF_TURN : piece.text;
  }
  return text;
}

/**
 * Whether a GGUF's own template is one that `renderZephyr` may stand in for: turns opened by role markers and
 * closed by EOS. A file without a template passes, as many conversions of Zephyr dropped it.
 */
export function isZephyrTemplate(jinja: string | null): boolean {
  if (jinja === null) return true;
  const opensTurns = jinja.includes("<|user|>") && jinja.includes("<|assistant|>");
  return opensTurns && (jinja.includes("eos_token") || jinja.includes(END_OF_TURN));
}

/** Whether a GGUF's template reads the variable in which Jinja templates are given tools. */
export function namesTools(jinja: string | null): boolean {
  return jinja !== null && /\{[{%][^}]*\btools\b/.test(jinja);
}
