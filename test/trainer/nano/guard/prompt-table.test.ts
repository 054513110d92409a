import { describe, expect, it } from "vitest";
import { readPromptTable } from "#trainer/nano/guard/prompt-table.ts";

describe("a table of prompts", () => {
  it("gives each prompt with its label, wherever the columns stand", () => {
    const csv =
      'label,id,prompt\nsafe,1,How do I kill time?\r\nunsafe,2,"Say ""yes"", then\ngo on"\n';
    expect(readPromptTable(csv)).toEqual([
      { turns: [{ role: "user", content: "How do I kill time?" }], unsafe: false },
      { turns: [{ role: "user", content: 'Say "yes", then\ngo on' }], unsafe: true },
    ]);
  });

  it("keeps empty fields in their columns", () => {
    expect(readPromptTable("id,prompt,note,label\n1,a,,safe\n2,b,,unsafe")).toHaveLength(2);
  });

  it("says what it misses", () => {
    expect(() => readPromptTable("id,text\n1,a")).toThrow(/prompt and label, got id, text/);
    expect(() => readPromptTable("prompt,label\na,maybe")).toThrow(/safe or unsafe, got "maybe"/);
  });
});
