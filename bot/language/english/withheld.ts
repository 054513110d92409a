/**
 * Why an input or an answer was withheld, by hazard. The words are the engine's own
 * (engine/moderation/policy.ts): a test holds the two together. The text on self-harm stays the engine's.
 */
export const WITHHELD_MESSAGES = {
  "withheld.rest": "The rest of this answer did not pass its check.",
  "withheld.one_of_two": "One of the answers did not pass its check.",
  "withheld.server_rule":
    "The rest of this answer broke a rule of this server, so it is not shown.",
  "withheld.message": "This message was withheld: {why}.",
  "withheld.answer": "The rest of this answer was withheld: {why}.",
  "withheld.asking.S1":
    "I cannot help with this: it asks for help with violence. I am glad to talk about staying safe, or about what the law says.",
  "withheld.asking.S2":
    "I cannot help with this: it asks for help with something illegal. I am glad to look for a lawful way to what you need.",
  "withheld.asking.S3":
    "I cannot help with this: it asks for help with a sexual crime. Help for those affected is at https://www.rainn.org.",
  "withheld.asking.S9":
    "I cannot help with this: it asks for help with a weapon. I am glad to explain the science without instructions.",
  "withheld.why.S1": "it threatens or encourages violence",
  "withheld.why.S2": "it gives instructions for a crime",
  "withheld.why.S3": "it is about a sexual crime",
  "withheld.why.S4": "it sexualises minors",
  "withheld.why.S5": "it may harm somebody's good name",
  "withheld.why.S6": "it gives advice that only a professional should give",
  "withheld.why.S7": "it gives away private data",
  "withheld.why.S8": "it breaks somebody's copyright",
  "withheld.why.S9": "it gives instructions for a weapon or explosive",
  "withheld.why.S10": "it calls for hatred or violence against people for who they are",
  "withheld.why.S11": "it encourages self-harm",
  "withheld.why.S12": "it is sexual, which belongs in age-restricted channels alone",
  "withheld.why.S13": "it may mislead people about an election",
  "withheld.why.S14": "it may be used to break into computers",
  "withheld.why.jailbreak": "it tries to talk me out of my rules",
  "withheld.why.slur": "it contains a slur",
  "withheld.why.blocklist": "it contains a word that this community's operator does not allow",
  "withheld.why.moderators": "this community's moderators decided that it gets no answer",
  "withheld.why.unchecked":
    "the safety check could not run, so nothing may be shown; please try again in a moment",
  "withheld.why.other": "it goes against the rules here",
} as const;
