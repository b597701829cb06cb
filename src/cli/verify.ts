/** The command `verify`. */
import { EventDecoder } from '../reader/event-decoder.js';
import { scanFile } from '../reader/scan.js';
import { findRuns } from './runs.js';
import { plural, printable, styled, type Terminal, UsageError } from './terminal.js';

/** `verify`: reads every record of every file. Resolves to the exit code, which is 1 if one is damaged. */
export async function verify(terminal: Terminal, paths: string[]): Promise<number> {
  if (paths.length === 0) throw new UsageError('expected the path of a logdir or of an event file');
  let damaged = 0;
  let torn = 0;
  let files = 0;
  for (const path of paths) {
    for (const run of await findRuns(path)) {
      const decoder = new EventDecoder();
      for (const file of run.files) {
        files++;
        const { damage, records, tornBytes, tornOffset } = await scanFile(file, decoder);
        const sound = plural(records, 'record');
        if (damage) {
          damaged++;
          const problem = `damaged at byte ${damage.offset}, after ${sound}: ${damage.reason}`;
          terminal.write(`${styled(terminal, 'red', 'damaged')}  ${printable(file)}: ${printable(problem)}\n`);
        } else if (tornBytes > 0) {
          torn++;
          const problem = `${sound}, then ${tornBytes} bytes of one that is cut off, from byte ${tornOffset}`;
          terminal.write(`${styled(terminal, 'yellow', 'torn')}     ${printable(file)}: ${problem}\n`);
        } else {
          terminal.write(`${styled(terminal, 'green', 'ok')}       ${printable(file)}: ${sound}\n`);
        }
      }
    }
  }
  terminal.write(`${plural(files, 'file')}, ${damaged} damaged, ${torn} with a torn tail\n`);
  return damaged > 0 ? 1 : 0;
}
