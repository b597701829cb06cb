/** The names of event files, which decide the order in which TensorBoard reads the files of a run. */
import { hostname, processId } from '#platform';

/** The largest number that ten digits hold. */
const maxSeconds = 9_999_999_999;
/** No name is used twice: TensorBoard does not notice that a file it follows was replaced by another of the same name. */
let namesMade = 0;

/**
 * A name for a new event file, `events.out.tfevents.<seconds>.<host>.<pid>.<counter><suffix>`, that this program has not
 * used before. TensorBoard reads a run's files in the order of their names, so the seconds are those of the clock or one
 * more than those of the newest file in the folder, whichever is later.
 *
 * @param existing the names in the folder
 * @param suffix see `fileNamePart`
 */
export function eventFileName(existing: Iterable<string>, suffix: string): string {
  let seconds = Math.floor(Date.now() / 1000);
  for (const name of existing) seconds = Math.max(seconds, secondsIn(name) + 1);
  seconds = Math.min(seconds, maxSeconds);
  const host = fileNamePart(hostname()) || 'localhost';
  const counter = String(namesMade++).padStart(5, '0');
  return `events.out.tfevents.${String(seconds).padStart(10, '0')}.${host}.${processId()}.${counter}${suffix}`;
}

/** A text as a part of a file name that every file system takes: anything but letters, digits, `-`, `_` and `.` becomes `_`. */
export function fileNamePart(text: string): string {
  return text.replace(/[^-\w.]/g, '_');
}

/** The seconds in an event file's name; -1 if it is another file's name. */
function secondsIn(name: string): number {
  const digits = /tfevents\.(\d{1,10})(?!\d)/.exec(name)?.[1];
  return digits === undefined ? -1 : Number(digits);
}
