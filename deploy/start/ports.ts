/** Whether a port is free, asked before anything is started. It knows nothing of who will listen. */
import { createServer } from "node:net";
import { CodedError, systemCode } from "#engine/base/errors.ts";

/**
 * Passes when `port` on `host` can be listened on; port 0 always can.
 * @param setting the setting that chooses the port, named in the message
 * @throws CodedError `address_in_use`, or `config_invalid` when the host is not this machine's
 */
export async function assertPortFree(setting: string, host: string, port: number): Promise<void> {
  if (port === 0) return;
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port, exclusive: true }, resolve);
    });
  } catch (error) {
    throw explainListenError(error, setting, host, port);
  }
  await new Promise((resolve) => server.close(resolve));
}

function explainListenError(error: unknown, setting: string, host: string, port: number): unknown {
  switch (systemCode(error)) {
    case "EADDRINUSE":
      return new CodedError(
        `Port ${port} on ${host} is taken by another process. Stop that one, or set ${setting} to another port (0 takes any free one).`,
        { code: "address_in_use", cause: error },
      );
    case "EACCES":
      return new CodedError(
        `Port ${port} on ${host} may not be used by this user. Set ${setting} to a port above 1023.`,
        { code: "config_invalid", cause: error },
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new CodedError(
        `${host} is no address of this machine. Set ${setting.replace("PORT", "HOST")} to one, such as 127.0.0.1.`,
        { code: "config_invalid", cause: error },
      );
    default:
      return error;
  }
}
