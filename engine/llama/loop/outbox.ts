/**
 * What happened to completions and is not told to the other thread yet. Each message wakes that thread, which takes
 * caches and time from the decode, and each piece of text goes its own way through checks and sockets: where steps
 * follow each other more quickly than a screen shows, their texts go out together. It knows no thread and no clock.
 */
import type { StreamNews } from "./loop-wire.ts";
import type { StreamEvent } from "./stream.ts";

type TextEvent = Extract<StreamEvent, { type: "text" }>;

/** A picture's time on a screen of 60 Hz. */
const TEXT_EVERY_MS = 16;
/** A completion's first texts: the check of what is said may hold the first back until it has seen the next ones. */
const FIRST_TEXTS = 4;

/** News in their order: those of one completion never change places. */
export class Outbox {
  #news: StreamNews[] = [];
  /** How many texts completions have had. */
  readonly #texts = new Map<number, number>();
  #isUrgent = false;
  #sentMs = Number.NEGATIVE_INFINITY;

  get length(): number {
    return this.#news.length;
  }

  /** Takes one; text that follows text of the same completion becomes one with it. */
  add(news: StreamNews): void {
    if (!this.#mayWait(news)) this.#isUrgent = true;
    const index = this.#news.findLastIndex(({ id }) => id === news.id);
    const joined = join(this.#news[index], news);
    if (joined === undefined) this.#news.push(news);
    else this.#news[index] = joined;
  }

  /** What is here should not wait: what comes next may take longer than a step. */
  hurry(): void {
    this.#isUrgent = true;
  }

  /**
   * Whether what is here should go now: anything but text, a completion's first texts, or text that another step would make late.
   * @param nowMs of the same monotonic clock each time, milliseconds
   * @param stepMs how long the next step will take, as far as one can tell
   */
  isDue(nowMs: number, stepMs: number): boolean {
    return this.#isUrgent || nowMs - this.#sentMs + stepMs > TEXT_EVERY_MS;
  }

  /** Gives out what is here. */
  take(nowMs: number): readonly StreamNews[] {
    const news = this.#news;
    this.#news = [];
    this.#isUrgent = false;
    this.#sentMs = nowMs;
    return news;
  }

  #mayWait(news: StreamNews): boolean {
    if ("event" in news && news.event.type === "text") {
      const texts = this.#texts.get(news.id) ?? 0;
      this.#texts.set(news.id, texts + 1);
      return texts >= FIRST_TEXTS;
    }
    if ("failure" in news || news.event.type === "end") this.#texts.delete(news.id);
    return false;
  }
}

function join(before: StreamNews | undefined, news: StreamNews): StreamNews | undefined {
  if (before === undefined || !("event" in before) || !("event" in news)) return undefined;
  if (before.event.type !== "text" || news.event.type !== "text") return undefined;
  return { id: news.id, event: joinTexts(before.event, news.event) };
}

function joinTexts(first: TextEvent, second: TextEvent): TextEvent {
  const logprobs = first.logprobs?.concat(second.logprobs ?? []);
  return {
    type: "text",
    text: first.text + second.text,
    tokenIds: [...first.tokenIds, ...second.tokenIds],
    ...(logprobs === undefined ? {} : { logprobs }),
  };
}
