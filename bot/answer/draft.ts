/** What one message should say and offer, before it is anybody's. Types and pure functions. */

/** A button below a message. */
export type Button = {
  /** Comes back when it is pressed; at most 100 characters, and all that a press needs to be understood. */
  readonly id: string;
  readonly label?: string;
  readonly emoji?: string;
  readonly style: "primary" | "secondary" | "success" | "danger";
};

/** A text file that comes with a message. */
export type TextFile = { readonly name: string; readonly text: string };

/** One message as it should be. */
export type Draft = {
  readonly content: string;
  readonly buttons?: readonly Button[];
  readonly file?: TextFile;
};

/** The texts as messages, with buttons (and a file) below the last one. */
export function toDrafts(
  contents: readonly string[],
  below: { readonly buttons?: readonly Button[]; readonly file?: TextFile | undefined } = {},
): readonly Draft[] {
  const { buttons, file } = below;
  const extra = {
    ...(buttons === undefined ? {} : { buttons }),
    ...(file === undefined ? {} : { file }),
  };
  return contents.map((content, index) =>
    index === contents.length - 1 ? { content, ...extra } : { content },
  );
}

/** Whether two drafts are the same message. */
export function isSameDraft(a: Draft | undefined, b: Draft | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
