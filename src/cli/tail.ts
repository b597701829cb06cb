/** The command `tail`: scalars and texts as lines, as they are written. */
import { printable } from '../errors.js';
import { valueText } from './inspect.js';
import { findRuns, followRuns, pause, tagFilter, typedSource } from './runs.js';
import { writeJsonLine } from './table.js';
import { Complaints, type Terminal } from './terminal.js';

/** How often the folder is looked at for new runs, in milliseconds. */
const lookEvery = 1000;

/** `tail`: a line for each value, until the program is told to end. Resolves to the exit code. */
export async function tail(
  terminal: Terminal,
  path: string | undefined,
  options: { json?: boolean; tags?: string },
): Promise<number> {
  const complaints = new Complaints(terminal);
  const tags = tagFilter(options.tags);
  await findRuns(path, new Complaints(terminal)).catch((error) => {
    // A folder may be empty still.
    if (!/there is no event file/.test(String(error))) throw error;
  });
  const stop = new AbortController();
  const look = followRuns(typedSource(path ?? ''), tags, stop.signal, {
    begin: () => {},
    take(run, { step, summary, wallTime }) {
      for (const { plugin, tag, value } of summary ?? []) {
        if (options.json) {
          const shown = typeof value === 'number' ? value : valueText(value);
          writeJsonLine(terminal, { run, tag, plugin, step, wallTime, value: shown });
          continue;
        }
        const cells = [run, String(step), tag, valueText(value)];
        terminal.write(`${cells.map(printable).join('\t')}\n`);
      }
    },
    complain: (message) => complaints.add(message),
  });
  const ended = terminal.ended().then(() => true);
  try {
    do await look();
    while (!(await Promise.race([ended, pause(lookEvery)])));
  } finally {
    stop.abort();
  }
  return complaints.exitCode;
}
