/** The command `verify`. */
import { messageOf, printable } from '../errors.js';
import { EventDecoder } from '../reader/event-decoder.js';
import { RecordForms } from '../reader/record-forms.js';
import { scanFile } from '../reader/scan.js';
import { findAllRuns, Progress } from './runs.js';
import { writeJson } from './table.js';
import { Complaints, plural, styled, type Terminal, UsageError } from './terminal.js';

/**
 * `verify`: reads every record of every file. Resolves to the exit code, which is 1 if a record is damaged or something
 * cannot be read.
 */
export async function verify(terminal: Terminal, paths: string[], { json }: { json?: boolean }): Promise<number> {
  if (paths.length === 0) throw new UsageError('expected the path of a logdir or of an event file');
  const complaints = new Complaints(terminal);
  const checked: CheckedFile[] = [];
  const runs = await findAllRuns(paths, complaints);
  const progress = await Progress.of(terminal, runs, 1);
  for (const run of runs) {
    const decoder = new EventDecoder(undefined, false);
    decoder.useForms(RecordForms);
    for (const file of run.files) {
      const found = await check(file, decoder, progress.read);
      checked.push(found);
      progress.clear();
      if (!json) say(terminal, found);
    }
  }
  const count = (status: CheckedFile['status']) => checked.filter((each) => each.status === status).length;
  const unread = count('unread');
  const missing = unread > 0 ? `, ${unread} that could not be read` : '';
  if (json) writeJson(terminal, checked);
  else
    terminal.write(
      `${plural(checked.length, 'file')}, ${count('damaged')} damaged, ${count('torn')} with a torn tail${missing}\n`,
    );
  return count('damaged') + unread > 0 ? 1 : complaints.exitCode;
}

/** What was found of a file: where the first byte is that no sound record holds, and why. */
interface CheckedFile {
  readonly file: string;
  readonly status: 'ok' | 'torn' | 'damaged' | 'unread';
  readonly records?: number;
  readonly offset?: number;
  readonly tornBytes?: number;
  readonly reason?: string;
}

async function check(file: string, decoder: EventDecoder, read: (bytes: number) => void): Promise<CheckedFile> {
  try {
    const { damage, records, tornBytes, tornOffset } = await scanFile(file, decoder, undefined, read);
    if (damage) return { file, status: 'damaged', records, offset: damage.offset, reason: damage.reason };
    if (tornBytes > 0) return { file, status: 'torn', records, offset: tornOffset, tornBytes };
    return { file, status: 'ok', records };
  } catch (error) {
    return { file, status: 'unread', reason: messageOf(error) };
  }
}

const colors = { ok: 'green', torn: 'yellow', damaged: 'red', unread: 'red' } as const;

function say(terminal: Terminal, { file, offset, reason = '', records = 0, status, tornBytes }: CheckedFile): void {
  const sound = plural(records, 'record');
  const what = {
    ok: sound,
    torn: `${sound}, then ${tornBytes} bytes of one that is cut off, from byte ${offset}`,
    damaged: `damaged at byte ${offset}, after ${sound}: ${reason}`,
    unread: reason,
  }[status];
  const word = `${styled(terminal, colors[status], status)}${' '.repeat(9 - status.length)}`;
  terminal.write(`${word}${printable(`${file}: ${what}`)}\n`);
}
