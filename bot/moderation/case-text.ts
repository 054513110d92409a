/** How a case reads in the mod-log. Pure text; nothing of what people wrote is in it. */
import { CASE_KINDS, type Case } from "./case-book.ts";

const STATES = { open: "open", upheld: "✅ upheld", overturned: "↩️ overturned" } as const;

/** The message of a case. @param subject how the person is shown, never a ping */
export function caseText(found: Case, subject: string | undefined): string {
  const { number, kind, reason, note, evidenceSha256, place, state, isDryRun, actorKey } = found;
  const actor = actorKey === "bot" || actorKey === "automod" ? actorKey : "a member";
  return [
    `**Case ${number}** · ${CASE_KINDS[kind]}${isDryRun ? " · dry run: nothing was done" : ""}`,
    ...(reason === "" ? [] : [`Reason: ${reason}`]),
    ...(subject === undefined ? [] : [`About: ${subject}`]),
    `By: ${actor} · State: ${STATES[state]}`,
    ...(note === "" ? [] : [`Note: ${note}`]),
    ...(place === "" ? [] : [`Where: ${place}`]),
    `-# Evidence sha256 ${evidenceSha256.slice(0, 16)}…`,
  ].join("\n");
}

/** Several cases in a line each. */
export function caseList(cases: readonly Case[]): string {
  if (cases.length === 0) return "There are no cases yet.";
  return cases
    .map(({ number, kind, state, atMs }) => {
      const at = Math.floor(atMs / 1_000);
      return `**${number}** · <t:${at}:R> · ${CASE_KINDS[kind]} · ${STATES[state]}`;
    })
    .join("\n");
}
