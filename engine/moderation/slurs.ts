/**
 * Slurs, by obscenity's matcher, a word at a time. Profanity is no business of this list, and words with
 * an innocent everyday sense (dyke, chink, coon, negro in Spanish) are left out: context decides those.
 */
import {
  assignIncrementingIds,
  collapseDuplicatesTransformer,
  parseRawPattern,
  RegExpMatcher,
  toAsciiLowerCaseTransformer,
} from "obscenity";

/** obscenity's pattern language: `|` is a word's edge, `[x]` optional, `?` any character. */
const PATTERNS = [
  ...["n[i]gger", "|n[i]gga", "|niglet", "|nigg[a][h]|", "sandnig"],
  ...["|fag|", "|fags|", "|fagg[o]t", "|fagot"],
  ...["|kike|", "|kikes|", "|trann[i]es|", "|trany|", "|tranies|", "|tranny|"],
  ...[
    "|spics|",
    "|wetback",
    "|beaner|",
    "|beaners|",
    "|gook|",
    "|gooks|",
    "|chinky|",
    "|chinkies|",
  ],
  ...["chingchong", "|raghead", "|towelhead", "|cameljockey", "|paki|", "|pakis|", "|abeed|"],
  ...["|darkie|", "|darkies|", "|jigaboo", "|porchmonkey", "|junglebunn", "|africoon"],
  ...["|shemale|", "|shemales|", "|retards|", "|libtard"],
];
const INNOCENT = ["snigger", "fagotto", "fagottist"];

const matcher = new RegExpMatcher({
  blacklistedTerms: assignIncrementingIds(PATTERNS.map(parseRawPattern)),
  whitelistedTerms: INNOCENT,
  blacklistMatcherTransformers: [
    toAsciiLowerCaseTransformer(),
    // Two of these letters are kept where a slur has two; any other repetition is emphasis.
    collapseDuplicatesTransformer({
      defaultThreshold: 1,
      customThresholds: new Map([
        ["g", 2],
        ["o", 2],
        ["n", 2],
      ]),
    }),
  ],
  whitelistMatcherTransformers: [toAsciiLowerCaseTransformer()],
});

/** Whether a folded word is, or holds, a slur. */
export function isSlur(foldedWord: string): boolean {
  return foldedWord.length > 2 && matcher.hasMatch(foldedWord);
}
