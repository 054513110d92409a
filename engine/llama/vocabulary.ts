/**
 * Text to tokens and back by libllama's tokenizer, and whole conversations by Zephyr's template.
 * It knows nothing of weights or contexts; serving and training encode through the same code.
 */
import { CodedError } from "../base/errors.ts";
import { GgufFile } from "../native/gguf.ts";
import { type NativeLibraries, recentNativeLog, withNativeLog } from "../native/library.ts";
import { bindLlama, LLAMA_VOCAB_TYPE, type Llama } from "../native/llama.ts";
import type { LlamaModelPointer, LlamaVocabPointer } from "../native/llama-struct.ts";
import { type TemplateMessage, type TemplateOptions, zephyrPieces } from "./chat-template.ts";
import { checkVocabulary } from "./model-file.ts";

const NO_TOKEN = -1;
/** No piece of a usual vocabulary is longer; longer ones are fetched in a second call. */
const PIECE_BYTES = 256;

/** A model's vocabulary. Freed by `dispose` when it was opened by itself. */
export class Vocabulary implements Disposable {
  /** Number of tokens; ids are below it. */
  readonly size: number;
  /** Beginning of text, -1 where the vocabulary has none. */
  readonly bos: number;
  /** End of turn. */
  readonly eos: number;
  readonly #llama: Llama;
  readonly #vocab: LlamaVocabPointer;
  readonly #addsBos: boolean;
  readonly #bytes: Uint8Array[] = [];
  readonly #markers = new Map<string, number | null>();
  readonly #encoder = new TextEncoder();
  #model: LlamaModelPointer | null;

  private constructor(llama: Llama, model: LlamaModelPointer, path: string, owned: boolean) {
    this.#llama = llama;
    this.#vocab = llama.llama_model_get_vocab(model);
    this.size = llama.llama_vocab_n_tokens(this.#vocab);
    this.bos = llama.llama_vocab_bos(this.#vocab);
    this.eos = llama.llama_vocab_eos(this.#vocab);
    this.#addsBos = llama.llama_vocab_get_add_bos(this.#vocab) && this.bos !== NO_TOKEN;
    this.#model = owned ? model : null;
    assertUsable(llama.llama_vocab_type(this.#vocab), this.eos, path);
  }

  /**
   * Loads only the vocabulary of a GGUF file.
   * @throws CodedError `model_missing`, `model_invalid`
   */
  static open(ggufPath: string, libraries: NativeLibraries): Vocabulary {
    checkFile(ggufPath, libraries);
    const llama = bindLlama(libraries);
    const params = { ...llama.llama_model_default_params(), vocab_only: true };
    const model = withNativeLog(libraries, () =>
      llama.llama_model_load_from_file(ggufPath, params),
    );
    if (model === null) {
      throw new CodedError(
        `libllama could not read the vocabulary of ${ggufPath}: ${recentNativeLog().at(-1) ?? "no reason given"}. Fetch or make the file again.`,
        { code: "model_invalid" },
      );
    }
    try {
      return new Vocabulary(llama, model, ggufPath, true);
    } catch (error) {
      llama.llama_model_free(model);
      throw error;
    }
  }

  /** The vocabulary of a loaded model, which must outlive it. @throws CodedError `model_invalid` */
  static ofModel(llama: Llama, model: LlamaModelPointer, path: string): Vocabulary {
    return new Vocabulary(llama, model, path, false);
  }

  /**
   * Tokens of a text, as llama.cpp's tokenizer gives them.
   * @param special whether the text of control tokens becomes those tokens; false for text that people wrote
   * @param addBos whether BOS stands in front, where the vocabulary wants one
   */
  tokenize(
    text: string,
    { special, addBos }: { readonly special: boolean; readonly addBos: boolean },
  ): Int32Array {
    this.#assertOpen();
    const utf8 = this.#encoder.encode(text);
    const head = addBos && this.#addsBos ? 1 : 0;
    const tokens = new Int32Array(utf8.length + head + 2);
    if (head === 1) tokens[0] = this.bos;
    const count = this.#llama.llama_tokenize(
      this.#vocab,
      utf8,
      utf8.length,
      tokens.subarray(head),
      tokens.length - head,
      false,
      special,
    );
    // A token stands for at least one byte of text (or of the space put in front), so the room suffices.
    if (count < 0)
      throw new Error(`llama_tokenize wanted ${-count} tokens for ${utf8.length} bytes`);
    return tokens.slice(0, head + count);
  }

  /**
   * The text that `tokenize` made these tokens of: BOS in front and the space that SentencePiece begins with are
   * dropped. Control tokens give no text, invalid UTF-8 becomes U+FFFD.
   */
  detokenize(ids: ArrayLike<number>): string {
    this.#assertOpen();
    const all = Int32Array.from(ids, (id) => this.#checked(id));
    const tokens = all[0] === this.bos ? all.subarray(1) : all;
    let text = new Uint8Array(tokens.length * 8 + 16);
    let count = this.#detokenizeInto(tokens, text);
    if (count < 0) {
      text = new Uint8Array(-count);
      count = this.#detokenizeInto(tokens, text);
    }
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(text.subarray(0, count));
  }

  /** For libllama's own use of it. */
  get pointer(): LlamaVocabPointer {
    this.#assertOpen();
    return this.#vocab;
  }

  /** The bytes that a token adds to a text; none for control tokens. Not to be written to. */
  bytesOf(id: number): Uint8Array {
    const known = this.#bytes[id];
    if (known !== undefined) return known;
    this.#assertOpen();
    const piece = this.#pieceOf(this.#checked(id));
    this.#bytes[id] = piece;
    return piece;
  }

  /** Whether a token ends an answer (EOS, or another that the file marks so). */
  endsGeneration(id: number): boolean {
    this.#assertOpen();
    return this.#llama.llama_vocab_is_eog(this.#vocab, this.#checked(id));
  }

  /**
   * Tokens of a conversation: BOS, then Zephyr's template. The same as llama.cpp's tokens of the rendered text
   * (parse_special), as long as no message holds the text of a control token; that text stays text here, so
   * nobody can end their turn by writing `</s>`.
   */
  encodeChat(messages: readonly TemplateMessage[], options: TemplateOptions): Int32Array {
    const ids: number[] = this.#addsBos ? [this.bos] : [];
    let run = "";
    // Text between two control tokens is tokenised in one go: SentencePiece merges across our pieces.
    const flush = (): void => {
      if (run !== "") for (const id of this.tokenize(run, PLAIN)) ids.push(id);
      run = "";
    };
    for (const piece of zephyrPieces(messages, options)) {
      const token = piece.kind === "endOfTurn" ? this.eos : this.#controlToken(piece);
      if (token === null) {
        run += piece.kind === "endOfTurn" ? "" : piece.text;
        continue;
      }
      flush();
      ids.push(token);
    }
    flush();
    return Int32Array.from(ids);
  }

  [Symbol.dispose](): void {
    if (this.#model !== null) this.#llama.llama_model_free(this.#model);
    this.#model = null;
    this.#disposed = true;
  }

  #disposed = false;

  /** Some vocabularies hold the role markers as control tokens; Zephyr's spells them as text. */
  #controlToken(piece: { readonly kind: string; readonly text: string }): number | null {
    if (piece.kind !== "marker") return null;
    const known = this.#markers.get(piece.text);
    if (known !== undefined) return known;
    const [first, ...rest] = this.tokenize(piece.text, { special: true, addBos: false });
    const isControl =
      first !== undefined &&
      rest.length === 0 &&
      this.#llama.llama_vocab_is_control(this.#vocab, first);
    const token = isControl ? first : null;
    this.#markers.set(piece.text, token);
    return token;
  }

  #pieceOf(id: number): Uint8Array {
    const room = new Uint8Array(PIECE_BYTES);
    const bytes = this.#llama.llama_token_to_piece(this.#vocab, id, room, PIECE_BYTES, 0, false);
    if (bytes >= 0) return room.slice(0, bytes);
    const exact = new Uint8Array(-bytes);
    this.#llama.llama_token_to_piece(this.#vocab, id, exact, exact.length, 0, false);
    return exact;
  }

  #detokenizeInto(tokens: Int32Array, text: Uint8Array): number {
    return this.#llama.llama_detokenize(
      this.#vocab,
      tokens,
      tokens.length,
      text,
      text.length,
      false,
      false,
    );
  }

  /** libllama throws across the C boundary, ending the process, on an id out of range. */
  #checked(id: number): number {
    if (Number.isInteger(id) && id >= 0 && id < this.size) return id;
    throw new RangeError(`expected a token id from 0 to ${this.size - 1}, got ${id}`);
  }

  #assertOpen(): void {
    if (this.#disposed) throw new Error("this vocabulary was disposed already");
  }
}

function checkFile(path: string, libraries: NativeLibraries): void {
  using file = GgufFile.open(path, libraries);
  checkVocabulary(file);
}

const PLAIN = { special: false, addBos: false };

function assertUsable(type: number, eos: number, path: string): void {
  if (type !== LLAMA_VOCAB_TYPE.spm && type !== LLAMA_VOCAB_TYPE.bpe) {
    throw new CodedError(
      `Expected ${path} to hold a SentencePiece or BPE vocabulary, found type ${type}. Use a chat model of the llama or Mistral family.`,
      { code: "model_invalid" },
    );
  }
  if (eos === NO_TOKEN) {
    throw new CodedError(
      `${path} names no EOS token, so no answer could end. Use a chat model's GGUF.`,
      { code: "model_invalid" },
    );
  }
}
