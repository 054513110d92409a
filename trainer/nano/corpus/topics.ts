/**
 * Reads the tables of facts (facts/*.txt) that questions and answers are made of.
 * It does not know how they are worded in a dialogue.
 */
import { readdirSync, readFileSync } from "node:fs";

/** A question that names its topic, and the sentence that answers it. */
type TopicQuestion = {
  /** Without the question mark. */
  readonly text: string;
  /** Index into `Topic.sentences`. */
  readonly answeredBy: number;
};

/** Something that the model knows four sentences about. */
export type Topic = {
  readonly id: string;
  /** The table that it stands in: `animals`, `lookalikes`… */
  readonly domain: string;
  /** A thing ("a volcano"), something to do ("kill a process"), or a question of its own. */
  readonly kind: "thing" | "task" | "question";
  /** As in "What is …?" or "How do I …?". */
  readonly name: string;
  /** As in "Tell me about …". */
  readonly about: string;
  readonly plural: boolean;
  readonly questions: readonly TopicQuestion[];
  /** The first is a whole short answer; all four make a full one. */
  readonly sentences: readonly string[];
};

const FACTS = new URL("./facts/", import.meta.url);

/** All topics in a fixed order. @throws Error when a table is malformed */
export function loadTopics(): readonly Topic[] {
  const files = readdirSync(FACTS).filter((file) => file.endsWith(".txt"));
  return files.sort().flatMap((file) => {
    const text = readFileSync(new URL(file, FACTS), "utf8");
    return parseTopics(text, file.replace(".txt", ""));
  });
}

/**
 * Parses a table: stanzas of lines, a blank line between them. `# name; about; are` heads a thing,
 * `> …` a task, `? …` is a question that the next sentence answers.
 * @throws Error naming the stanza that has no head or not four sentences
 */
export function parseTopics(table: string, domain: string): Topic[] {
  return table
    .trim()
    .split(/\n{2,}/)
    .map((stanza) => parseStanza(stanza.split("\n"), domain));
}

function parseStanza(lines: readonly string[], domain: string): Topic {
  const questions: TopicQuestion[] = [];
  const sentences: string[] = [];
  let head: string | undefined;
  for (const line of lines) {
    if (line.startsWith("? "))
      questions.push({ text: line.slice(2), answeredBy: sentences.length });
    else if (line.startsWith("# ") || line.startsWith("> ")) head = line;
    else sentences.push(line);
  }
  const [firstQuestion] = questions;
  const title = head ?? firstQuestion?.text;
  if (title === undefined || sentences.length !== 4) {
    throw new Error(`${domain}: expected a head and four sentences in "${lines[0]}"`);
  }
  if (head === undefined) return { ...named(title, domain, "question"), questions, sentences };
  const kind = head.startsWith("#") ? "thing" : "task";
  return { ...named(head.slice(2), domain, kind), questions, sentences };
}

function named(title: string, domain: string, kind: Topic["kind"]) {
  const [name = title, about = name, number] = title.split("; ");
  const slug = name.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return { id: `${domain}/${slug}`, domain, kind, name, about, plural: number === "are" };
}
