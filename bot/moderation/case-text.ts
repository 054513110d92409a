/** How a case reads in the mod-log. Pure text; nothing of what people wrote is in it. */
import { SMALL } from "../answer/wording.ts";
import type { Language } from "../language/language.ts";
import type { Case } from "./case-book.ts";

/** The message of a case. @param subject how the person is shown, never a ping */
export function caseText(language: Language, found: Case, subject: string | undefined): string {
  const { kind, reason, note, evidenceSha256, place, state, isDryRun, actorKey } = found;
  const isKnown = actorKey === "bot" || actorKey === "automod";
  const actor = language.say(`case.actor.${isKnown ? actorKey : "member"}`);
  const heading = language.say("case.heading", {
    number: String(found.number),
    kind: language.say(`case.kind.${kind}`),
  });
  const evidence = language.say("case.evidence", { hash: evidenceSha256.slice(0, 16) });
  return [
    isDryRun ? `${heading} · ${language.say("case.dry_run")}` : heading,
    ...(reason === "" ? [] : [language.say("case.reason", { reason })]),
    ...(subject === undefined ? [] : [language.say("case.about", { person: subject })]),
    language.say("case.by", { actor, state: language.say(`case.state.${state}`) }),
    ...(note === "" ? [] : [language.say("case.note", { note })]),
    ...(place === "" ? [] : [language.say("case.where", { place })]),
    `${SMALL}${evidence}`,
  ].join("\n");
}

/** Several cases in a line each. */
export function caseList(language: Language, cases: readonly Case[]): string {
  if (cases.length === 0) return language.say("case.none");
  return cases
    .map(({ number, kind, state, atMs }) => {
      const at = Math.floor(atMs / 1_000);
      const words = [language.say(`case.kind.${kind}`), language.say(`case.state.${state}`)];
      return [`**${number}**`, `<t:${at}:R>`, ...words].join(" · ");
    })
    .join("\n");
}
