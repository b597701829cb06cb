/** What the commands read: runs below a path, and tags that match a pattern. */
import { sourceFiles } from '#platform';
import { messageOf } from '../errors.js';
import { type ListedRun, listRuns } from '../reader/run-files.js';
import { UsageError } from './terminal.js';

/** A run and what to read it from. */
interface NamedRun extends ListedRun {
  /** The run's folder or its one file, which `readEvents` takes. */
  source: string;
}

/**
 * The runs below a logdir, or one event file as a run of its own.
 *
 * @throws UsageError if there is nothing to read
 */
export async function findRuns(path: string | undefined): Promise<NamedRun[]> {
  if (path === undefined) throw new UsageError('expected the path of a logdir or of an event file');
  const kind = await sourceFiles.kind(path);
  if (kind === undefined) throw new UsageError(`there is no file or folder "${path}"`);
  if (kind === 'file') return [{ run: '.', source: path, files: [path] }];
  const runs = await listRuns(path);
  if (runs.length === 0) {
    throw new UsageError(`there is no event file in "${path}" (its name would contain "tfevents")`);
  }
  return runs.map((found) => ({ ...found, source: found.run === '.' ? path : `${path}/${found.run}` }));
}

/** A filter of tags from a regular expression that a user typed. */
export function tagFilter(pattern: string | undefined): (tag: string) => boolean {
  if (pattern === undefined) return () => true;
  try {
    const expression = new RegExp(pattern, 'u');
    return (tag) => expression.test(tag);
  } catch (error) {
    throw new UsageError(`--tags: ${messageOf(error)}`);
  }
}
