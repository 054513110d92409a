/** The English words of a command or option, from the catalogue. Data only. */
import { ENGLISH, type MessageKey } from "../language/english.ts";

type PathOf<K> = K extends `${infer Path}.description` ? Path : never;

/** The description of what stands at a path such as `command.chat.text`, to be spread into its definition. */
export function described(path: PathOf<MessageKey>): { readonly description: string } {
  return { description: ENGLISH[`${path}.description`] };
}
