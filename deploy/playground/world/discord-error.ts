/** Refusals in Discord's own shape: `{code, message, errors}` with an HTTP status. */

/** The JSON error codes that this server gives out. */
export const DISCORD_ERRORS = {
  unauthorized: [401, 0, "401: Unauthorized"],
  notFound: [404, 0, "404: Not Found"],
  methodNotAllowed: [405, 0, "405: Method Not Allowed"],
  unknownApplication: [404, 10002, "Unknown Application"],
  unknownChannel: [404, 10003, "Unknown Channel"],
  unknownGuild: [404, 10004, "Unknown Guild"],
  unknownMember: [404, 10007, "Unknown Member"],
  unknownMessage: [404, 10008, "Unknown Message"],
  unknownUser: [404, 10013, "Unknown User"],
  unknownEmoji: [400, 10014, "Unknown Emoji"],
  unknownWebhook: [404, 10015, "Unknown Webhook"],
  unknownInteraction: [404, 10062, "Unknown interaction"],
  unknownCommand: [404, 10063, "Unknown application command"],
  tooManyReactions: [400, 30010, "Maximum number of reactions reached (20)"],
  tooManyCommands: [400, 30032, "Maximum number of application commands reached (100)"],
  tooLarge: [413, 40005, "Request entity too large"],
  alreadyAcknowledged: [400, 40060, "Interaction has already been acknowledged."],
  missingAccess: [403, 50001, "Missing Access"],
  notYourMessage: [403, 50005, "Cannot edit a message authored by another user"],
  emptyMessage: [400, 50006, "Cannot send an empty message"],
  cannotMessageUser: [403, 50007, "Cannot send messages to this user"],
  notTextChannel: [400, 50008, "Cannot send messages in a non-text channel"],
  missingPermissions: [403, 50013, "Missing Permissions"],
  invalidWebhookToken: [401, 50027, "Invalid Webhook Token"],
  invalidFormBody: [400, 50035, "Invalid Form Body"],
  threadArchived: [400, 50083, "Thread is archived"],
  invalidJson: [400, 50109, "The request body contains invalid JSON."],
  reactionBlocked: [403, 90001, "Reaction blocked"],
  threadAlreadyCreated: [400, 160004, "A thread has already been created for this message"],
} as const satisfies Record<string, readonly [number, number, string]>;

/** A field's complaints, nested by the body's own keys and indices. */
export type FieldErrors = { [key: string]: FieldErrors | { code: string; message: string }[] };

/** What goes with a refusal beside its kind. */
type DiscordErrorOptions = ErrorOptions & { readonly errors?: FieldErrors };

/** One refusal of the API, as Discord words it. */
export class DiscordError extends Error {
  readonly status: number;
  readonly code: number;
  readonly errors: FieldErrors | undefined;

  constructor(kind: keyof typeof DISCORD_ERRORS, options: DiscordErrorOptions = {}) {
    const [status, code, message] = DISCORD_ERRORS[kind];
    super(message, options);
    this.name = "DiscordError";
    this.status = status;
    this.code = code;
    this.errors = options.errors;
  }

  /** The response's body: https://discord.com/developers/docs/reference#error-messages */
  toJson(): { message: string; code: number; errors?: FieldErrors } {
    const body = { message: this.message, code: this.code };
    return this.errors === undefined ? body : { ...body, errors: this.errors };
  }
}

/** A 50035 refusal for one field, for instance `fieldError(["embeds", 0, "title"], "…", "…")`. */
export function fieldError(
  path: readonly (string | number)[],
  code: string,
  message: string,
): DiscordError {
  return new DiscordError("invalidFormBody", { errors: nestErrors([{ path, code, message }]) });
}

/** Builds the nested `errors` object out of flat complaints. */
export function nestErrors(
  complaints: readonly {
    readonly path: readonly PropertyKey[];
    readonly code: string;
    readonly message: string;
  }[],
): FieldErrors {
  const root: FieldErrors = {};
  for (const { path, code, message } of complaints) {
    const node = descend(root, path);
    const list = node["_errors"];
    if (Array.isArray(list)) list.push({ code, message });
    else node["_errors"] = [{ code, message }];
  }
  return root;
}

function descend(root: FieldErrors, path: readonly PropertyKey[]): FieldErrors {
  let node = root;
  for (const key of path) {
    const existing = node[String(key)];
    const child: FieldErrors =
      existing === undefined || Array.isArray(existing) ? Object.create(null) : existing;
    node[String(key)] = child;
    node = child;
  }
  return node;
}
