/** The lines of a file, one at a time, however long it is. */
import { closeSync, openSync, readSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";

const READ_BYTES = 1 << 16;

/** Reads UTF-8 lines as they are asked for; the last one may be empty. */
export function* linesOf(path: string): Generator<string> {
  const file = openSync(path, "r");
  try {
    const decoder = new StringDecoder("utf8");
    const chunk = Buffer.alloc(READ_BYTES);
    let rest = "";
    for (;;) {
      const read = readSync(file, chunk);
      if (read === 0) break;
      const lines = (rest + decoder.write(chunk.subarray(0, read))).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
    yield rest + decoder.end();
  } finally {
    closeSync(file);
  }
}
