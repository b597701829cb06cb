// Processes that take turns: while one works the others are stopped, with all their threads. What each has in its memory,
// its garbage collector's habits and what it leaves to its threads thus stay its own.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Starts bench/<script> with its arguments; it must first send a message when it is ready. @param more execPath, execArgv: another Node */
export async function startJob(script, args, more = {}) {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), args, {
    ...more,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let complaints = '';
  child.stderr.on('data', (text) => {
    complaints = (complaints + text).slice(-2000);
  });
  const answer = async () => {
    const ended = new AbortController();
    const [outcome] = await Promise.race([
      once(child, 'message', ended),
      once(child, 'exit', ended).then(() => {
        throw new Error(complaints.trim().split('\n').at(-1) ?? `${script} ended`);
      }),
    ]).finally(() => ended.abort());
    return outcome;
  };
  await answer();
  child.kill('SIGSTOP');
  return {
    /** Lets it go on with a message until it answers. */
    async ask(message) {
      child.kill('SIGCONT');
      child.send(message);
      const outcome = await answer();
      child.kill('SIGSTOP');
      return outcome;
    },
    end() {
      child.kill('SIGKILL');
    },
  };
}
