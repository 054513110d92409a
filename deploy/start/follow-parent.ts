/**
 * Preloaded into each supervised process (node --import): when the supervisor dies, however it dies,
 * its end of the pipe closes, and this process is asked to end as by a service manager.
 */
process.stdin.on("end", () => process.kill(process.pid, "SIGTERM"));
process.stdin.on("error", () => process.kill(process.pid, "SIGTERM"));
process.stdin.resume();
process.stdin.unref?.();
