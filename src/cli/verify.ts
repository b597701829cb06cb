/** The command `verify`. */
import { messageOf, printable } from '../errors.js';
import { EventDecoder } from '../reader/event-decoder.js';
import { scanFile } from '../reader/scan.js';
import { findRuns } from './runs.js';
import { Complaints, plural, styled, type Terminal, UsageError } from './terminal.js';

/**
 * `verify`: reads every record of every file. Resolves to the exit code, which is 1 if a record is damaged or something
 * cannot be read.
 */
export async function verify(terminal: Terminal, paths: string[]): Promise<number> {
  if (paths.length === 0) throw new UsageError('expected the path of a logdir or of an event file');
  const complaints = new Complaints(terminal);
  let damaged = 0;
  let torn = 0;
  let unread = 0;
  let files = 0;
  for (const path of paths) {
    for (const run of await findRuns(path, complaints)) {
      const decoder = new EventDecoder();
      for (const file of run.files) {
        files++;
        const say = (style: 'red' | 'yellow' | 'green', word: string, what: string) => {
          const space = ' '.repeat(9 - word.length);
          terminal.write(`${styled(terminal, style, word)}${space}${printable(`${file}: ${what}`)}\n`);
        };
        try {
          const { damage, records, tornBytes, tornOffset } = await scanFile(file, decoder);
          const sound = plural(records, 'record');
          if (damage) {
            damaged++;
            say('red', 'damaged', `damaged at byte ${damage.offset}, after ${sound}: ${damage.reason}`);
          } else if (tornBytes > 0) {
            torn++;
            say('yellow', 'torn', `${sound}, then ${tornBytes} bytes of one that is cut off, from byte ${tornOffset}`);
          } else {
            say('green', 'ok', sound);
          }
        } catch (error) {
          unread++;
          say('red', 'unread', messageOf(error));
        }
      }
    }
  }
  const missing = unread > 0 ? `, ${unread} that could not be read` : '';
  terminal.write(`${plural(files, 'file')}, ${damaged} damaged, ${torn} with a torn tail${missing}\n`);
  return damaged + unread > 0 ? 1 : complaints.exitCode;
}
