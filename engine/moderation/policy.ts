/**
 * What the lexical layer blocks: only what no context makes right, as phrases by category.
 * Intent is not its business: asking how to build a bomb must reach the model, whose refusal helps more
 * than a filter's. Categories are Llama Guard's S1–S14
 * (https://www.llama.com/docs/model-cards-and-prompt-formats/llama-guard-3/); those that words cannot
 * decide (S5–S8, S12–S14) have no phrases here and wait for a guard model.
 */
import type { PhraseRule } from "./phrases.ts";

/** Where a check stands: before generation, or before generated text is shown. */
export type Stage = "input" | "output";

/** Short sentences for people, by category; each ends the sentence "This was withheld: …". */
const REASONS: Readonly<Record<string, string>> = {
  S1: "it threatens or encourages violence",
  S2: "it gives instructions for a crime",
  S3: "it is about a sexual crime",
  S4: "it sexualises minors",
  S5: "it may harm somebody's good name",
  S6: "it gives advice that only a professional should give",
  S7: "it gives away private data",
  S8: "it breaks somebody's copyright",
  S9: "it gives instructions for a weapon or explosive",
  S10: "it calls for hatred or violence against people for who they are",
  S11: "it encourages self-harm",
  S12: "it is sexual, which belongs in age-restricted channels alone",
  S13: "it may mislead people about an election",
  S14: "it may be used to break into computers",
  jailbreak: "it tries to talk me out of my rules",
  slur: "it contains a slur",
  blocklist: "it contains a word that this community's operator does not allow",
  moderators: "this community's moderators decided that it gets no answer",
  unchecked:
    "the safety check could not run, so nothing may be shown; please try again in a moment",
};

/** What a guard finds in a request is what it asks for, not what it does. */
const ASKING: Readonly<Record<string, string>> = {
  S1: "it asks for help with violence. I am glad to talk about staying safe, or about what the law says",
  S2: "it asks for help with something illegal. I am glad to look for a lawful way to what you need",
  S3: "it asks for help with a sexual crime. Help for those affected is at https://www.rainn.org",
  S9: "it asks for help with a weapon. I am glad to explain the science without instructions",
};

/** The sentence to show for a category at a stage. */
export function reasonFor(category: string, stage: Stage): string {
  const asking = stage === "input" ? ASKING[category] : undefined;
  if (asking !== undefined) return `I cannot help with this: ${asking}.`;
  const subject = stage === "input" ? "This message" : "The rest of this answer";
  return `${subject} was withheld: ${REASONS[category] ?? "it goes against the rules here"}.`;
}

/** Words that show a sentence to be about protection, law or study, in whatever it names. */
const PROTECTIVE = [
  ...["report*", "police", "prevent*", "protect*", "stop*", "combat*", "fight*", "against", "ban*"],
  ...["illegal*", "unlawful*", "law", "laws", "legal*", "crime*", "criminal*", "prosecut*", "jail"],
  ...["prison", "convict*", "arrest*", "charged", "accused", "sentenced", "victim*", "survivor*"],
  ...["abuse", "abused", "abuser*", "trauma*", "therap*", "counsel*", "hotline*", "detect*"],
  ...["moderat*", "filter*", "block*", "safety", "safeguard*", "warn*", "harmful", "dangerous"],
  ...["wrong", "why", "research*", "statistic*", "educat*", "history", "historical*"],
  ...["parental*", "discuss*", "talk*", "explain*", "conversation*", "doctor*", "paediatric*"],
  ...["pediatric*", "fbi", "ncmec", "iwf", "interpol", "charity"],
];
/** Words of a refusal, which names what it refuses. */
const REFUSING = [
  ...["cannot", "cant", "wont", "not", "never", "unable", "refuse*", "decline*", "dont", "no"],
  ...["neither", "nor", "without", "instead", "sorry"],
];
const HISTORICAL = [
  ...["nazi*", "holocaust", "regime*", "war", "genocides", "genocidal", "said", "says", "wrote"],
  ...["quote*", "slogan*", "chant*", "protest*", "tried", "wanted", "attempt*", "movie*", "film*"],
  ...["book*", "racist*", "extremist*", "propaganda", "murdered", "did"],
];

const MINORS =
  "child|children|childs|childrens|kid|kids|minor|minors|underage|preteen*|toddler*|infant*|prepubescent*|schoolgirl*|schoolboy*|loli|lolis|shota|shotas";
const SEXUAL =
  "nude|nudes|naked|sexy|sexual*|erotic*|lewd|porn*|nsfw ?photo*|pic*|image*|video*|stor*|content|scene*|drawing*|art|fanfic* of|about|with|featuring|between|involving";
/** Asks for something made up; of their own children parents ask otherwise. */
const MAKE =
  "write|tell|draw|paint|describe|generate|imagine|roleplay|story|stories|fanfic|scene|picture|image|drawing";
const UNDRESSED =
  "undress*|naked|nude|topless|stripping|masturbat*|horny|sexual*|erotic*|lewd|sexy|seduc*";
/** As before, of who is told about: parents tell of theirs, so not with "tell" and "describe". */
const DEPICT =
  "write|draw|paint|imagine|generate|create|render|roleplay|story|stories|fanfic|scene|picture|image|drawing|painting|photo";
const BARE = "naked|nude|undressed|unclothed|topless|disrobed|undressing|stripped|stripping";
const PEOPLES =
  "jews|jewish|muslims|blacks|gays|lesbians|transgenders|immigrants|migrants|refugees|mexicans|asians|arabs|africans|christians|hindus|sikhs|gypsies|disabled|whites|indians|palestinians|israelis";
const NOW = "you|your|first|start|begin|mix|combine|add|take|dissolve|heat|follow|get|gather";

/** S4 has no exception for age-restricted places or guild settings. */
const MINORS_SEXUALISED: PhraseRule = {
  category: "S4",
  unless: PROTECTIVE,
  patterns: [
    `${MINORS} porn*|erotica|hentai|smut`,
    "loli*|shota* ~1 porn*|hentai|nudes|nsfw|doujin*|sex*",
    `${SEXUAL} ~3 ${MINORS}`,
    `${SEXUAL} ~3 @age year|years|yr|yrs|y old|olds|o`,
    `${SEXUAL} ~3 @age yo`,
    `${SEXUAL} ~3 @ageyo`,
    `nude|lewd|sexy ${MINORS}`,
    `${MAKE} ~5 ${MINORS} ~1 ${UNDRESSED}`,
    `${MAKE} ~5 @age year|years|yr|yrs|y old|olds|o ~2 ${UNDRESSED}`,
    `${MAKE} ~5 @age yo ~2 ${UNDRESSED}`,
    `${MAKE} ~5 @ageyo ~2 ${UNDRESSED}`,
    `${DEPICT} ~5 ${BARE} ~1 ${MINORS}`,
    `${DEPICT} ~5 ${BARE} ~1 @age year|years|yr|yrs|y old|olds|o`,
    `${DEPICT} ~5 ${BARE} ~1 @age yo`,
    `${DEPICT} ~5 ${BARE} ~1 @ageyo`,
    `${DEPICT} ~5 ${BARE} girl|girls|boy|boys|daughter|son ?who ?is of|aged ?age @age`,
    "buy|sell|trade|swap|download|share|send|find|want|need ~3 csam",
    "buy|sell|trade|swap|download|share|send|find|want|need ~2 cp links|pics|videos|collection",
    `molest|rape|fondle|seduce ~2 ${MINORS}`,
  ],
};
/** Parents ask about sex while their children are at home; nothing else with these words is innocent. */
const MINORS_ABUSED: PhraseRule = {
  category: "S4",
  unless: [...PROTECTIVE, "house", "home", "room", "asleep", "sleeping", "around", "nearby"],
  patterns: [`have|having|had sex with ?a|an|my|young|little ${MINORS}`],
};

const HATE: readonly PhraseRule[] = [
  {
    category: "S10",
    unless: [...PROTECTIVE, ...HISTORICAL, "hitler*"],
    patterns: [
      `gas|exterminate|genocide|lynch ?all ?the|these|those ${PEOPLES}`,
      `kill|murder|shoot|burn|hang all ?the|these|those ${PEOPLES}`,
      `death to ?all ?the ${PEOPLES}`,
      `${PEOPLES} ?people should|must|deserve ?all ?to ?be killed|gassed|exterminated|lynched|shot|burned|burnt|hanged|die`,
    ],
  },
  {
    category: "S10",
    unless: [...PROTECTIVE, ...HISTORICAL],
    patterns: ["hitler was right", "heil hitler"],
  },
];

const OUTPUT_ONLY: readonly PhraseRule[] = [
  {
    category: "S1",
    unless: [...REFUSING, "story", "character*", "novel*", "quote*"],
    patterns: [
      "i will|shall kill|murder|rape|stab you",
      "ill kill|murder|rape|stab you",
      "i am going|gonna ?to kill|murder|rape|stab you",
      "im going|gonna ?to kill|murder|rape|stab you",
      "you should|must kill|murder|stab|shoot|poison him|her|them|someone|people",
    ],
  },
  {
    category: "S2",
    unless: [...REFUSING, ...PROTECTIVE],
    patterns: [
      `to cook|make|synthesi*|prepare|produce meth|methamphetamine|heroin|crack|fentanyl|mdma ${NOW}`,
      "reduce|cook|extract ~2 pseudoephedrine ~4 phosphorus|lithium|iodine|ammonia",
      "you can|could|should buy|purchase|order ~2 stolen ~1 card*|identit*|passport*|account*",
      "hotwire ~3 car|vehicle ~4 strip|twist|connect|touch",
    ],
  },
  {
    category: "S3",
    unless: [...REFUSING, ...PROTECTIVE],
    patterns: ["slip|put|drop ~4 her|his|their drink|drinks ~6 unconscious|rape|assault|undress"],
  },
  {
    category: "S9",
    unless: [...REFUSING, ...PROTECTIVE],
    patterns: [
      "mix|combine|blend ~3 ammonium nitrate ~3 fuel|diesel|gasoline|petrol|aluminum|aluminium",
      "fill|pack|stuff|load ~3 pipe ~4 gunpowder|explosive*|propellant|blackpowder",
      "attach|connect|wire|insert ~4 detonator|blasting ~6 charge|explosive*|c4|tnt|tatp|anfo|bomb",
      "mix|combine|add ~4 acetone ~4 peroxide ~6 acid",
      `to make|build|synthesi*|prepare|produce sarin|vx|tabun|novichok|ricin|tatp|hmtd|anthrax|napalm ${NOW}`,
      `to make|build|assemble ~1 pipe bomb ${NOW}`,
      "extract|purify|isolate ~2 ricin ~3 castor",
    ],
  },
  {
    category: "S11",
    unless: [...REFUSING, "please", "hotline*", "lifeline*", "thinking", "thoughts", "if"],
    patterns: [
      "you should|must ?just kill|hang|harm yourself",
      "go kill|hang yourself",
      "kill yourself",
      "kys",
      "best|easiest|painless|quickest ~1 way|ways|method* to hang yourself",
    ],
  },
];

/** People who speak of harming themselves are shown to help at once, whatever else is asked. */
const PLEAS: PhraseRule = {
  category: "S11",
  unless: [
    ...["song*", "lyrics", "movie*", "film*", "book*", "novel*", "character*", "poem*", "joke*"],
    ...["laugh*", "embarrass*", "shame", "cringe*", "game", "boss", "respawn*", "lol", "lmao"],
    ...["friend*", "said", "says", "told", "quote*", "article*", "statistic*", "prevent*"],
  ],
  patterns: [
    "i want|wanna|need ?to die",
    "i want|wanna|will|plan ?to kill|hurt|harm|cut|hang myself",
    "im|am going|gonna|planning ?to kill|hurt|harm|cut|hang myself",
    "dont want ?to live|exist|wake",
    "not want ?to live|exist|wake",
    "how|way|ways ~4 kill|hang|drown|poison|cut myself",
    "how|way|ways ~4 commit suicide",
    "end|ending my ?own life",
    "take|taking my ?own life",
    "thinking|think|thought about|of suicide",
    "feel|feeling like ending it|everything",
    "how many pills ~5 die|overdose",
    "am|im suicidal",
    "would|will miss me if i ?was|were died|die|dead|gone",
  ],
};

/** The phrases of a stage: input is held to S4, S10 and pleas for help alone, output to everything. */
export function rulesFor(stage: Stage): readonly PhraseRule[] {
  const always = [MINORS_SEXUALISED, MINORS_ABUSED, ...HATE];
  if (stage === "input") return [...always, PLEAS];
  // A refusal names what it refuses, and is the model's to make.
  const refusable = always.map((rule) => ({
    ...rule,
    unless: [...(rule.unless ?? []), ...REFUSING],
  }));
  return [...refusable, ...OUTPUT_ONLY];
}
