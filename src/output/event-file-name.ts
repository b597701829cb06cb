import { hostname, processId } from '#platform';

/** The largest number of seconds that ten digits hold. */
const maxSeconds = 9_999_999_999;
/** Counts names, so that none is used twice: TensorBoard does not notice that a file it follows was replaced. */
let namesMade = 0;

/**
 * A name for a new event file, `events.out.tfevents.<seconds>.<host>.<pid>.<counter><suffix>`, no two alike in one
 * program. TensorBoard reads a run's files in the order of their names, so the seconds are those of the clock or one more
 * than the newest in the folder, whichever is later.
 *
 * @param existing the names in the folder
 */
export function eventFileName(existing: Iterable<string>, suffix: string): string {
  let seconds = Math.floor(Date.now() / 1000);
  for (const name of existing) seconds = Math.max(seconds, secondsIn(name) + 1);
  seconds = Math.min(seconds, maxSeconds);
  const host = fileNamePart(hostname()) || 'localhost';
  const counter = String(namesMade++).padStart(5, '0');
  return `events.out.tfevents.${String(seconds).padStart(10, '0')}.${host}.${processId()}.${counter}${suffix}`;
}

/** Text as a part of a file name that every file system takes. */
export function fileNamePart(text: string): string {
  return text.replace(/[^-\w.]/g, '_');
}

/** The seconds in an event file's name, -1 in any other's. */
function secondsIn(name: string): number {
  const digits = /tfevents\.(\d{1,10})(?!\d)/.exec(name)?.[1];
  return digits === undefined ? -1 : Number(digits);
}
