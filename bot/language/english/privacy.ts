/** /mydata, and the page about privacy. */
export const PRIVACY_MESSAGES = {
  "data.title": "**What I keep of you**",
  "data.questions": "• Questions with their answers: {questions}",
  "data.votes":
    "• Feedback that stands (votes, ratings, reports, other answers asked for): {votes}, comments: {comments}",
  "data.conversations": {
    one: "• Remembered conversations: {conversations} ({count} message)",
    other: "• Remembered conversations: {conversations} ({count} messages)",
  },
  "data.adapters": "• Adapters that learned from you: {adapters}",
  "data.no_adapters": "• Adapters that learned from you: none",
  "data.footer":
    "Texts are encrypted with a key of your own and erased after {days} days. `/mydata export` gives you all of it, `/mydata forget` erases it.",
  "data.exported": "Everything that I keep of you:",
  "data.replaced": "Adapters that learned from you are replaced at the next training: {adapters}.",
  "consent.title": "**May I learn from you?**",
  "consent.attested": "The host has stated that Discord permits learning from it",
  "consent.guild": "This server has switched learning on",
  "consent.unsaid": "Your own word: you have not said anything yet",
  "consent.agreed": "Your own word: you agree",
  "consent.refused": "Your own word: you refuse",
  "consent.learns": "→ The bot **may learn** from you here.",
  "consent.learns_not": "→ The bot **does not learn** from you here.",
  "consent.thanks":
    "Thank you. Your questions, votes and ratings may be learnt from, as long as you don't take it back.",
  "consent.noted": "Noted: nothing of yours is learnt from.",
  "forget.title": "**Forget everything that I keep of you?**",
  "forget.what":
    "{questions}, {votes} and {conversations} are erased, and your key is destroyed. This can't be undone.",
  "forget.done": "Done: {questions} and {votes} are erased, and your key is destroyed.",
  "forget.no_adapter": "No adapter has learned from you.",
  "forget.adapters_at":
    "These adapters learned from you: {adapters}. They are trained anew without you tonight at {time}, and removed.",
  "forget.adapters_later":
    "These adapters learned from you: {adapters}. They are trained anew without you when the host starts the next training, and removed.",
  "forget.footer": "Messages that stand in Discord itself are yours to delete.",
  "forget.kept": "Nothing was erased.",
  "button.forget": "Forget me",
  "button.keep": "Keep it",
  "counted.questions": {
    one: "{count} question with its answer",
    other: "{count} questions with their answers",
  },
  "counted.votes": { one: "{count} piece of feedback", other: "{count} pieces of feedback" },
  "counted.conversations": {
    one: "{count} remembered conversation",
    other: "{count} remembered conversations",
  },
  "page.title": "Privacy – {name}",
  "page.heading": "What {name} keeps of you, and how to have it deleted",
  "page.languages": "Languages",
  "page.kept": "What is kept",
  "page.kept.questions":
    "Questions that you ask the bot, with the conversation that they belong to, and its answers.",
  "page.kept.votes": "Your 👍, 👎, ratings and comments on answers.",
  "page.kept.consent": "What you said about learning, and when.",
  "page.kept.nothing_else": "Messages that are not meant for the bot are not kept.",
  "page.how": "How it is kept",
  "page.how.where": "On the machine of whoever hosts this bot; nothing is sent to a cloud service.",
  "page.how.pseudonym": "Your Discord id is replaced by a pseudonym before anything is stored.",
  "page.how.encrypted": "Texts are encrypted with a key of your own (AES-256-GCM).",
  "page.how.retention":
    "Questions and answers are erased after {days} days, conversations after 30 days without a word.",
  "page.learning": "What the bot learns",
  "page.learning.nightly":
    "The bot learns every night at {time}, from votes on answers, where a server has switched that on and everyone concerned has agreed.",
  "page.learning.on_demand":
    "The bot learns when its host starts a training, from votes on answers, where a server has switched that on and everyone concerned has agreed.",
  "page.learning.off":
    "The bot does not learn from Discord: its host has not stated that Discord permits it.",
  "page.learning.consent":
    "It never learns from somebody who has not agreed with `/mydata consent`.",
  "page.rights": "What you can do",
  "page.rights.show":
    "`/mydata show` tells you what is kept, `/mydata export` gives it to you as a file.",
  "page.rights.consent":
    "`/mydata consent` says whether the bot may learn from you; you can take it back at any time.",
  "page.rights.forget":
    "`/mydata forget` erases your texts and votes and destroys your key, so that copies in backups can't be read either. Models that learned from you are replaced at the next training.",
  "page.rights.delete": "Delete or edit a message, and what the bot keeps of it is erased.",
  "page.contact": "Whom to ask",
  "page.contact.host": "The admins of the server, or whoever hosts this bot.",
} as const;
