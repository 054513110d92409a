/**
 * Turns as they are stored: text and name sealed for whoever speaks in them, so that destroying that
 * person's key takes the turn away everywhere. It knows keys and turns, and nothing of stores.
 */
import { z } from "zod";
import type { KeyRing } from "#trainer/feedback/key-ring.ts";
import { isSealed } from "#trainer/feedback/sealed-text.ts";
import type { Turn } from "./window.ts";

/** Seals and opens; the key ring does. */
export type TurnKeys = Pick<KeyRing, "seal" | "open">;

const said = z.object({ content: z.string(), speakerName: z.string() });

/** Seals each turn. @throws CodedError `disk_full`, `database_failed` */
export function sealTurns(turns: readonly Turn[], keys: TurnKeys): readonly Turn[] {
  return turns.map((turn) => {
    const { content, speakerName } = turn;
    const text = JSON.stringify({ content, speakerName });
    const sealed = keys.seal(turn.speakerKeys ?? [turn.speakerKey], text, contextOf(turn));
    return { ...turn, content: sealed, speakerName: "" };
  });
}

/** Opens each turn whose key is still there; what was stored in the clear is taken as it is. */
export function openTurns(turns: readonly Turn[], keys: TurnKeys): readonly Turn[] {
  return turns.flatMap((turn) => {
    if (!isSealed(turn.content)) return [turn];
    const text = keys.open(turn.content, contextOf(turn));
    return text === undefined ? [] : [{ ...turn, ...said.parse(JSON.parse(text)) }];
  });
}

function contextOf(turn: Turn): string {
  return `turn ${turn.role} ${turn.exchangeId}`;
}
