/** Who runs the bot: the owner of its application, or its team. Asked of Discord once. */
import { type Client, Team } from "discord.js";

/** A function that tells whether a person is one of them. */
export function knowOperators(client: Client<true>): (personId: string) => Promise<boolean> {
  let known: Promise<ReadonlySet<string>> | undefined;
  return async (personId) => {
    known ??= readOperators(client).catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    return (await known).has(personId);
  };
}

async function readOperators(client: Client<true>): Promise<ReadonlySet<string>> {
  const { owner } = await client.application.fetch();
  if (owner === null) return new Set();
  return new Set(owner instanceof Team ? owner.members.keys() : [owner.id]);
}
