import { writeReport } from '../reports/report-store.js';
import { type Terminal, UsageError } from './terminal.js';

/** `report`: draws a tracker's run as one HTML page, and names the file. */
export async function report(terminal: Terminal, logdir: string | undefined, out?: string): Promise<number> {
  if (logdir === undefined) throw new UsageError('expected the path of a logdir that a SaturationTracker wrote');
  terminal.write(`${await writeReport(logdir, { path: out })}\n`);
  return 0;
}
