/** The command `report`: a page about what trackers wrote. */
import { printable } from '../errors.js';
import { isRemote, sourceFiles } from '../reader/places.js';
import { writeReport } from '../reports/report-store.js';
import { typedLogdir, typedPath } from './runs.js';
import { writeJson } from './table.js';
import { Complaints, type Terminal, UsageError } from './terminal.js';

/** Options of `report`, as typed. */
interface ReportOptions {
  json?: boolean;
  out?: string;
  raw?: boolean;
}

/** The file of a report: `report.html` in what is a folder. */
async function pagePath(out: string): Promise<string> {
  const isFolder = /[/\\]$/.test(out) || (await sourceFiles.kind(out)) === 'folder';
  return isFolder ? `${out.replace(/[/\\]+$/, '')}/report.html` : out;
}

/** `report`: writes a page about what trackers wrote, and prints its path. */
export async function report(
  terminal: Terminal,
  logdir: string | undefined,
  { json, out, raw }: ReportOptions,
): Promise<number> {
  if (logdir === undefined) throw new UsageError('expected the path of a logdir that a SaturationTracker wrote');
  const complaints = new Complaints(terminal);
  const options = { raw, onDamage: (message: string) => complaints.add(message) };
  const folder = await typedLogdir(logdir);
  if (out === undefined && isRemote(folder)) {
    throw new UsageError(`--out: expected the file to write, since "${folder}" is on another computer`);
  }
  const path = await writeReport(folder, {
    ...options,
    path: out === undefined ? undefined : await pagePath(typedPath(out, '--out')),
  }).catch((error) => {
    // Its message begins with the name of the function, which nobody typed.
    if (!(error instanceof RangeError)) throw error;
    const message = error.message.replace(/^writeReport: /, '');
    const others = message.startsWith('expected runs with saturation') ? '; serve and share show any logdir' : '';
    throw new UsageError(`${message}${others}`);
  });
  if (json) writeJson(terminal, [{ path }]);
  else terminal.write(`${printable(path)}\n`);
  return complaints.exitCode;
}
