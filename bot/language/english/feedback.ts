/** Votes, ratings and reports; /help and /status. */
export const FEEDBACK_MESSAGES = {
  "feedback.rated": "Saved: {stars} for “{excerpt}”. Rate it again to change that.",
  "feedback.voted": "Saved: {thumb} for “{excerpt}”. Vote again to change that.",
  "feedback.show_better":
    "To show me what would be better: press Regenerate, and 👍 the answer that is.",
  "feedback.taken_back": "Taken back: you have no vote on that answer any more.",
  "feedback.disk_full":
    "That was **not saved**: the bot's data disk is full. Please tell whoever hosts it, and try again later.",
  "feedback.log_broken":
    "That was **not saved**: the bot's feedback log can't be written. Please tell whoever hosts it, and try again later.",
  "feedback.no_such_answer":
    "I found no answer of mine there that can be rated. Give the link of one (right-click it → Copy Message Link), or wait until it is finished.",
  "title.rate": "Rate this answer",
  "label.rate.stars": "How good is it?",
  "label.rate.comment": "What was good or bad about it?",
  "placeholder.rate.stars": "1 to 5",
  "option.rate.5": "excellent",
  "option.rate.4": "good",
  "option.rate.3": "so-so",
  "option.rate.2": "poor",
  "option.rate.1": "bad",
  "title.report": "Report this answer",
  "label.report.category": "What is wrong with it?",
  "label.report.reason": "In your own words",
  "option.report.illegal": "Helps with something illegal or dangerous",
  "option.report.hate": "Hateful, harassing or threatening",
  "option.report.sexual": "Sexual",
  "option.report.private": "Private data of a person",
  "option.report.false": "False or misleading",
  "option.report.other": "Something else",
  "report.saved_and_told": "Thank you: the report is saved, and the moderators have been told.",
  "report.saved":
    "Thank you: the report is saved. This server has no report channel, so tell a moderator if it is urgent.",
  "report.notice": "**Report** ({category}) by {by}: {url}",
  "report.notice_answer": "The answer: “{answer}”",
  "learning.off_on_discord":
    "off (votes are kept, but not trained on: LEARN_FROM_DISCORD is not set)",
  "learning.on_demand": "on, when the host starts a training",
  "learning.nightly": "on, every night at {time} from the votes given here",
  "status.engine_away": "**Engine:** not running right now",
  "status.here": "**Here:** answers in the making: {making}, waiting: {waiting}",
  "status.feedback": {
    one: "**Feedback:** {answers} answers, {count} vote that stands",
    other: "**Feedback:** {answers} answers, {count} votes that stand",
  },
  "status.feedback_unreadable": "**Feedback:** the log can't be read right now",
  "status.learning": "**Learning:** {learning}",
  "status.model": "**Model:** {model}, {parameters} parameters, context {contextTokens} tokens",
  "status.adapter": "**Adapter:** {adapter}",
  "status.no_adapter": "none (base weights)",
  "status.device": "**Device:** {device}",
  "status.engine": "**Engine:** {state}; {running} running, {waiting} waiting of at most {most}",
  "help.talk": "**Talk with {name}**",
  "help.chat":
    "• `/chat` asks a question; with `ephemeral` only you see the answer. `/thread` opens a thread for it.",
  "help.mention": "• Mention {name}, reply to one of its answers, or write to it directly.",
  "help.threads":
    "• In a thread that it takes part in, everybody's messages make one conversation. Elsewhere you have a conversation of your own in each channel.",
  "help.opinion": "**Say what you think of an answer**",
  "help.votes":
    "• 👍 or 👎 below it, as button or reaction, or `/rate` from 1 to 5 with a comment.",
  "help.regenerate":
    "• Regenerate draws another answer: approve that one, and the bot learns the difference. Continue goes on, Stop ends.",
  "help.menu": "• Right-click an answer → Apps → Rate this answer, or Report this answer.",
  "help.compare": "• `/compare` shows two answers blind: vote for the better one.",
  "help.again": "• Take a reaction back, or rate again, and the new word counts.",
  "help.appeal":
    "• Refused wrongly, or not refused though it should have been? Right-click it → Apps → Appeal this answer; moderators decide, with `/moderation`.",
  "help.afterwards": "**What happens with it**",
  "help.learning": "• Learning: {learning}.",
  "help.mydata":
    "• `/mydata` shows what I keep of you, gives it to you, erases it, and says whether I may learn from you.",
  "help.deletion":
    "• Delete your question or an answer, and it is forgotten: its text is erased and never trained on.",
  "help.privacy": "• Privacy: <{url}>",
  "help.managers": "• For a server's managers: `/settings`, `/persona`, `/adapter`, `/learning`.",
  "help.check":
    "`/status` shows which model and adapter answers. It is a language model: check what matters.",
} as const;
