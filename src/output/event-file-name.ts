/** The names of event files, which decide the order in which TensorBoard reads the files of a run. */
import { hostname, processId } from '#platform';
import { maxNameBytes, shortenedName, utf8Length } from '../encoding/file-names.js';

/** Who writes a file, as its name says. */
export interface WriterName {
  /** The computer's name. */
  readonly host: string;
  /** The program's number on it. */
  readonly pid: number;
}

/** The largest number that ten digits hold. */
const maxSeconds = 9_999_999_999;
/** No name is used twice: TensorBoard does not notice that a file it follows was replaced by another of the same name. */
let namesMade = 0;

/**
 * A name for a new event file, `events.out.tfevents.<seconds>.<host>.<pid>.<counter><suffix>`, that this program has not
 * used before. TensorBoard reads a run's files in the order of their names, and one that sorts before the file it has come to
 * is never read. So the seconds are those of the clock or one more than those of the newest file in the folder, whichever is
 * later; and if a file that somebody else has named would still sort after this one, the name begins with that file's.
 *
 * @param existing the names in the folder
 * @param suffix see `fileNamePart`
 * @param writer this program by default; a thread that cannot know is told
 */
export function eventFileName(
  existing: Iterable<string>,
  suffix: string,
  writer: WriterName = { host: hostname(), pid: processId() },
): string {
  const clock = Math.floor(Date.now() / 1000);
  const host = fileNamePart(writer.host) || 'localhost';
  const rest = `${host}.${writer.pid}.${String(namesMade++).padStart(5, '0')}${suffix}`;
  const named = (prefix: string, seconds: number) =>
    `${prefix}tfevents.${String(Math.min(seconds, maxSeconds)).padStart(10, '0')}.${rest}`;
  let seconds = clock;
  let last = '';
  for (const name of existing) {
    if (!name.includes('tfevents')) continue;
    seconds = Math.max(seconds, secondsIn(name) + 1);
    if (name > last) last = name;
  }
  const usual = named('events.out.', seconds);
  if (usual > last) return usual;
  // The last "tfevents" of a name counts: in a name that was made here, all before it is the name of another file.
  const numbered = /^(.*)tfevents\.(\d{10})\./.exec(last);
  const after = numbered === null ? '' : named(numbered[1], Math.max(clock, Number(numbered[2]) + 1));
  const another = after > last ? after : named(`${last}.`, clock);
  return utf8Length(another) <= maxNameBytes ? another : usual;
}

/**
 * A text as a part of a file name that every file system takes: anything but letters, digits, `-`, `_` and `.` becomes `_`, and
 * what is longer than 100 characters is cut.
 */
export function fileNamePart(text: string): string {
  return shortenedName(text.replace(/[^-\w.]/g, '_'), 100);
}

/** The seconds in an event file's name; -1 if there are none. */
function secondsIn(name: string): number {
  const digits = /tfevents\.(\d{1,10})(?!\d)/.exec(name)?.[1];
  return digits === undefined ? -1 : Number(digits);
}
