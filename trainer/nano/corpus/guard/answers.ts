/**
 * The answers that a guard judges, as it sees them: whole, or the passages in which they are checked while they
 * are written. It knows no questions.
 */
import type { SeededRandom } from "../../../data/random.ts";
import { pick } from "../answers.ts";
import type { AnswerForms, AnswerPart } from "./tables.ts";

/** The engine checks an answer's first hundred characters or so, then longer passages. */
const FIRST_PASSAGE_CHARACTERS = 100;
const PASSAGE_SHARE = 0.4;
const TASK_SHARE = 0.6;
const MIDDLE_PARTS = 3;

/** Which forms to compose of, and about what. */
type FormDraw = {
  /** What completes "How do I …"; undefined for asks of another form. */
  readonly task: string | undefined;
  /** Whether to take the forms that are kept from training. */
  readonly heldOut: boolean;
};

/** An answer that complies. */
export function composeCompliance(
  forms: AnswerForms,
  random: SeededRandom,
  { task, heldOut }: FormDraw,
): string {
  const of = (place: keyof AnswerForms) => pickPart(forms[place], random, heldOut);
  const middle = Array.from({ length: random.below(MIDDLE_PARTS + 1) }, () => of("middle"));
  const end = random.uniform() < 0.25 ? [of("end")] : [];
  if (task !== undefined && random.uniform() < TASK_SHARE) {
    return [of("begin").replaceAll("{do}", task), ...middle, ...end].join(" ");
  }
  // Without the task, what is done says what it is.
  const least = middle.length === 0 ? [of("middle")] : middle;
  return [of("general"), ...least, ...end].join(" ");
}

/** An answer that offers help with a task, and no more. */
export function composeOffer(
  forms: AnswerForms,
  random: SeededRandom,
  { task, heldOut }: { readonly task: string; readonly heldOut: boolean },
): string {
  return pickPart(forms.begin, random, heldOut).replaceAll("{do}", task);
}

/** An answer that declines in other words than the chat model's. */
export function composeDecline(
  forms: AnswerForms,
  random: SeededRandom,
  { task, heldOut }: FormDraw,
): string {
  const fitting = forms.decline.filter(({ text }) => task !== undefined || !text.includes("{do}"));
  return pickPart(fitting, random, heldOut).replaceAll("{do}", task ?? "");
}

function pickPart(parts: readonly AnswerPart[], random: SeededRandom, heldOut: boolean): string {
  const fitting = parts.filter((part) => part.heldOut === heldOut);
  return pick(fitting, random).text;
}

/** The answer, or the part of it that a check sees while it is written. */
export function asChecked(answer: string, random: SeededRandom): string {
  if (random.uniform() >= PASSAGE_SHARE) return answer;
  const end = answer.indexOf(" ", FIRST_PASSAGE_CHARACTERS);
  return end < 0 ? answer : answer.slice(0, end);
}
